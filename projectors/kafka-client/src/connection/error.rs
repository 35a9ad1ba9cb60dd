//! Why there is no connection, or no answer.

use std::time::Duration;

use tokio_rustls::rustls;

use crate::address::Address;

/// Why there is no connection, or no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectionError {
    /// Nobody listens, the name is unknown, or nothing comes back.
    #[error("{address} cannot be reached: {error}")]
    Unreachable {
        /// The broker.
        address: Address,
        /// What the system says.
        error: String,
    },
    /// It listens, and says nothing.
    #[error(
        "{address} accepts connections, and has not answered {step} within {} s: is it starting, overloaded or stopped?",
        .after.as_secs_f32()
    )]
    Silent {
        /// The broker.
        address: Address,
        /// What was waited for.
        step: &'static str,
        /// How long.
        after: Duration,
    },
    /// By the authorities that are believed it is somebody else.
    #[error(
        "the certificate of {address} is not believed ({error}): set ca= to the PEM file of the authority that signed \
         it, and use a host name that stands in it"
    )]
    CertificateRefused {
        /// The broker.
        address: Address,
        /// What is wrong with it.
        error: String,
    },
    /// The other end speaks something else.
    #[error(
        "{address} does not speak TLS with us ({error}): use the broker's TLS port, or leave tls=true away"
    )]
    TlsRefused {
        /// The broker.
        address: Address,
        /// What came instead.
        error: String,
    },
    /// It closes the connection before it answers anything.
    #[error(
        "{address} closes the connection before it answers ({error}): add tls=true if its port speaks TLS, sasl= if it \
         asks for a user"
    )]
    CutOff {
        /// The broker.
        address: Address,
        /// How it ends.
        error: String,
    },
    /// Wrong user or password.
    #[error(
        "{address} refuses user and password by {mechanism} ({error}): check CHIPQ_KAFKA_USER and \
         CHIPQ_KAFKA_PASSWORD, and that the user has credentials for {mechanism}"
    )]
    SaslRefused {
        /// The broker.
        address: Address,
        /// By what they were shown.
        mechanism: &'static str,
        /// What the broker says.
        error: String,
    },
    /// It wants another way.
    #[error("{address} does not offer {mechanism}, but: {offered}; change sasl= in the URL")]
    MechanismNotOffered {
        /// The broker.
        address: Address,
        /// What was asked for.
        mechanism: &'static str,
        /// What it offers, with commas between; empty if it does not say.
        offered: String,
    },
    /// Its port asks for no user.
    #[error("{address} asks for no user: use the broker's SASL port, or leave sasl= away")]
    SaslNotWanted {
        /// The broker.
        address: Address,
    },
    /// It lacks what is needed.
    #[error(
        "{address} does not speak a version of the protocol that is needed: use Kafka 1.0 or later ({error})"
    )]
    TooOld {
        /// The broker.
        address: Address,
        /// What it lacks.
        error: String,
    },
    /// There is no answer: it may have done what it was asked for, or may do so later.
    #[error("{address} has not answered within {} s; what was asked for may be done, or may not", .after.as_secs_f32())]
    TimedOut {
        /// The broker.
        address: Address,
        /// How long.
        after: Duration,
    },
    /// There is no answer, and there will not be.
    #[error(
        "the connection to {address} broke ({error}); what was asked for may be done, or may not"
    )]
    Broken {
        /// The broker.
        address: Address,
        /// How it ends.
        error: String,
    },
}

impl ConnectionError {
    /// Whether a person has to change something: nothing is won by asking the next broker, or asking often.
    #[must_use]
    pub const fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::SaslRefused { .. }
                | Self::MechanismNotOffered { .. }
                | Self::SaslNotWanted { .. }
        )
    }

    pub(super) fn from_tls(address: &Address, error: &std::io::Error) -> Self {
        let (address, text) = (address.clone(), error.to_string());
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        match inner {
            Some(rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented) => {
                Self::CertificateRefused { address, error: text }
            }
            _ => Self::TlsRefused { address, error: text },
        }
    }
}
