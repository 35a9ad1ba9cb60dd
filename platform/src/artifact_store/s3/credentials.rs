//! Who this process is to the bucket: AWS's own variables and files, in the order in which AWS's tools look.
//!
//! Invariant: a key stands in the environment or in a file of the user, never in a URL, a message or a log. A file is
//! read again when it has changed, so that keys can be exchanged while everything runs.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use async_trait::async_trait;
use object_store::CredentialProvider;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, AwsCredential};

/// The profile of whoever names none.
const DEFAULT_PROFILE: &str = "default";

/// What `object_store` is handed of the environment for machines that have an identity of their own: a web identity
/// (Kubernetes), the credentials of a container, or an instance.
const OF_MACHINES: [(&str, AmazonS3ConfigKey); 9] = [
    ("AWS_WEB_IDENTITY_TOKEN_FILE", AmazonS3ConfigKey::WebIdentityTokenFile),
    ("AWS_ROLE_ARN", AmazonS3ConfigKey::RoleArn),
    ("AWS_ROLE_SESSION_NAME", AmazonS3ConfigKey::RoleSessionName),
    ("AWS_ENDPOINT_URL_STS", AmazonS3ConfigKey::StsEndpoint),
    ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", AmazonS3ConfigKey::ContainerCredentialsRelativeUri),
    ("AWS_CONTAINER_CREDENTIALS_FULL_URI", AmazonS3ConfigKey::ContainerCredentialsFullUri),
    ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", AmazonS3ConfigKey::ContainerAuthorizationTokenFile),
    ("AWS_METADATA_ENDPOINT", AmazonS3ConfigKey::MetadataEndpoint),
    ("AWS_IMDSV1_FALLBACK", AmazonS3ConfigKey::ImdsV1Fallback),
];

/// Where credentials come from.
#[derive(Debug, Clone)]
pub(super) enum CredentialSource {
    /// Keys in the environment.
    Environment(Arc<AwsCredential>),
    /// A profile in the files of AWS's tools.
    Profile(Arc<ProfileCredentials>),
    /// The machine's own identity.
    Machine(Vec<(AmazonS3ConfigKey, String)>),
}

/// Why there are no credentials.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CredentialsError {
    /// One half of a pair.
    #[error("of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY only {0} is set; set both, or neither")]
    Half(&'static str),
    /// No profile of that name in either file.
    #[error(
        "AWS_PROFILE names {0}, which is in neither AWS_SHARED_CREDENTIALS_FILE (~/.aws/credentials) nor \
         AWS_CONFIG_FILE (~/.aws/config); name a profile that is there"
    )]
    NoProfile(String),
    /// A profile of another kind.
    #[error(
        "the AWS profile {0} has no aws_access_key_id with aws_secret_access_key, and profiles that assume a \
         role, sign in or run a program are not supported; put keys into it, or set AWS_ACCESS_KEY_ID"
    )]
    NoKeys(String),
    /// Something that cannot stand in the head of a request.
    #[error(
        "the {what} in {place} has a line break, or another character that none has; look how it was put there, such \
         as from a file that ends in a line break"
    )]
    Unprintable {
        /// What of it.
        what: &'static str,
        /// Where it stands.
        place: String,
    },
}

/// Refuses what cannot stand in the head of a request, without repeating it.
fn check_printable(
    credential: AwsCredential,
    place: impl FnOnce() -> String,
) -> Result<AwsCredential, CredentialsError> {
    let AwsCredential { key_id, secret_key, token } = &credential;
    let parts = [
        ("access key", Some(key_id)),
        ("secret key", Some(secret_key)),
        ("session token", token.as_ref()),
    ];
    let is_wrong = |text: &String| !text.bytes().all(|byte| byte.is_ascii_graphic());
    let wrong = parts.into_iter().find(|(_, text)| text.is_some_and(is_wrong));
    match wrong.map(|(what, _)| what) {
        None => Ok(credential),
        Some(what) => Err(CredentialsError::Unprintable { what, place: place() }),
    }
}

impl CredentialSource {
    /// The first that is there; `variable` looks a variable up.
    ///
    /// # Errors
    /// When what is there cannot be right.
    pub(super) fn find(
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, CredentialsError> {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        match (set("AWS_ACCESS_KEY_ID"), set("AWS_SECRET_ACCESS_KEY")) {
            (Some(key_id), Some(secret_key)) => {
                let token = set("AWS_SESSION_TOKEN");
                let credential = AwsCredential { key_id, secret_key, token };
                let credential = check_printable(credential, || "the environment".to_owned())?;
                return Ok(Self::Environment(Arc::new(credential)));
            }
            (Some(_), None) => return Err(CredentialsError::Half("AWS_ACCESS_KEY_ID")),
            (None, Some(_)) => return Err(CredentialsError::Half("AWS_SECRET_ACCESS_KEY")),
            (None, None) => {}
        }
        let named = set("AWS_PROFILE");
        let files = ProfileFiles::find(&set);
        let profile = named.clone().unwrap_or_else(|| DEFAULT_PROFILE.to_owned());
        match files.read_keys(&profile) {
            Ok(_) => return Ok(Self::Profile(Arc::new(ProfileCredentials::new(files, profile)))),
            Err(error) if named.is_some() => return Err(error),
            Err(error @ CredentialsError::Unprintable { .. }) => return Err(error),
            Err(_) => {}
        }
        let of_machines = OF_MACHINES.iter();
        Ok(Self::Machine(of_machines.filter_map(|(name, key)| Some((*key, set(name)?))).collect()))
    }

    /// What the store is told of it.
    pub(super) fn apply_to(&self, builder: AmazonS3Builder) -> AmazonS3Builder {
        match self {
            Self::Environment(credential) => {
                let builder = builder
                    .with_access_key_id(&credential.key_id)
                    .with_secret_access_key(&credential.secret_key);
                match &credential.token {
                    Some(token) => builder.with_token(token),
                    None => builder,
                }
            }
            Self::Profile(profile) => builder.with_credentials(Arc::clone(profile) as _),
            Self::Machine(options) => options
                .iter()
                .fold(builder, |builder, (key, value)| builder.with_config(*key, value)),
        }
    }
}

/// Where profiles stand. What `credentials` says counts before what `config` says.
#[derive(Debug, Clone)]
struct ProfileFiles {
    credentials: Option<PathBuf>,
    config: Option<PathBuf>,
}

impl ProfileFiles {
    fn find(set: &impl Fn(&str) -> Option<String>) -> Self {
        let home = set("HOME").map(PathBuf::from);
        let in_home = |name: &str| home.as_ref().map(|home| home.join(".aws").join(name));
        let named = |variable: &str| set(variable).map(PathBuf::from);
        Self {
            credentials: named("AWS_SHARED_CREDENTIALS_FILE").or_else(|| in_home("credentials")),
            config: named("AWS_CONFIG_FILE").or_else(|| in_home("config")),
        }
    }

    fn read_keys(&self, profile: &str) -> Result<AwsCredential, CredentialsError> {
        let read = |path: &Option<PathBuf>| {
            path.as_ref().and_then(|path| std::fs::read_to_string(path).ok()).unwrap_or_default()
        };
        let in_credentials = find_section(&read(&self.credentials), &[profile]);
        let config_name = format!("profile {profile}");
        let config_names: &[&str] =
            if profile == DEFAULT_PROFILE { &[profile, &config_name] } else { &[&config_name] };
        let in_config = find_section(&read(&self.config), config_names);
        if in_credentials.is_none() && in_config.is_none() {
            return Err(CredentialsError::NoProfile(profile.to_owned()));
        }
        for section in [in_credentials, in_config].into_iter().flatten() {
            let value = |name: &str| section.get(name).filter(|value| !value.is_empty()).cloned();
            if let (Some(key_id), Some(secret_key)) =
                (value("aws_access_key_id"), value("aws_secret_access_key"))
            {
                let token = value("aws_session_token");
                let credential = AwsCredential { key_id, secret_key, token };
                return check_printable(credential, || format!("the AWS profile {profile}"));
            }
        }
        Err(CredentialsError::NoKeys(profile.to_owned()))
    }

    /// When either changed last.
    fn changed_at(&self) -> [Option<SystemTime>; 2] {
        [&self.credentials, &self.config].map(|path| modified_at(path.as_deref()))
    }
}

fn modified_at(path: Option<&Path>) -> Option<SystemTime> {
    std::fs::metadata(path?).ok()?.modified().ok()
}

/// What stands in the section of one of these names of an INI file; the last value of a name counts.
fn find_section(text: &str, names: &[&str]) -> Option<BTreeMap<String, String>> {
    let mut found = None;
    let mut is_within = false;
    for line in text.lines().map(str::trim) {
        if let Some(section) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            is_within = names.contains(&section.trim());
            if is_within {
                found.get_or_insert_with(BTreeMap::new);
            }
        } else if is_within
            && !line.starts_with(['#', ';'])
            && let Some((name, value)) = line.split_once('=')
        {
            let section: &mut BTreeMap<_, _> = found.get_or_insert_with(BTreeMap::new);
            section.insert(name.trim().to_ascii_lowercase(), value.trim().to_owned());
        }
    }
    found
}

/// The keys of a profile, as its files have them now.
pub(super) struct ProfileCredentials {
    files: ProfileFiles,
    profile: String,
    known: Mutex<Option<KnownKeys>>,
}

struct KnownKeys {
    changed_at: [Option<SystemTime>; 2],
    credential: Arc<AwsCredential>,
}

impl ProfileCredentials {
    fn new(files: ProfileFiles, profile: String) -> Self {
        Self { files, profile, known: Mutex::default() }
    }

    fn current(&self) -> Result<Arc<AwsCredential>, CredentialsError> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let changed_at = self.files.changed_at();
        if let Some(known) = known.as_ref().filter(|known| known.changed_at == changed_at) {
            return Ok(Arc::clone(&known.credential));
        }
        match self.files.read_keys(&self.profile) {
            Ok(read) => {
                let credential = Arc::new(read);
                let kept = Arc::clone(&credential);
                *known = Some(KnownKeys { changed_at, credential });
                Ok(kept)
            }
            // The file is being written: what it said before is true until it can be read again.
            Err(error) => known.as_ref().map(|known| Arc::clone(&known.credential)).ok_or(error),
        }
    }
}

impl fmt::Debug for ProfileCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProfileCredentials({}, [redacted])", self.profile)
    }
}

#[async_trait]
impl CredentialProvider for ProfileCredentials {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let refused = |error: CredentialsError| object_store::Error::Generic {
            store: "S3",
            source: Box::new(error),
        };
        self.current().map_err(refused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(variables: &[(&str, &str)]) -> Result<CredentialSource, CredentialsError> {
        let known: BTreeMap<_, _> = variables.iter().copied().collect();
        CredentialSource::find(|name| known.get(name).map(|value| (*value).to_owned()))
    }

    #[test]
    fn what_cannot_stand_in_a_request_is_refused_and_not_repeated() {
        let keys = |id: &str, secret: &str, token: &str| {
            find(&[
                ("AWS_ACCESS_KEY_ID", id),
                ("AWS_SECRET_ACCESS_KEY", secret),
                ("AWS_SESSION_TOKEN", token),
            ])
        };
        assert!(keys("id", "hunter2/+=", "").is_ok());
        for (id, secret, token) in
            [("id\n", "hunter2", ""), ("id", "hunter2\n", ""), ("id", "hunter2", "hunter2\u{e9}")]
        {
            let said = keys(id, secret, token).unwrap_err().to_string();
            assert!(said.contains("line break") && !said.contains("hunter2"), "{said}");
        }
    }

    #[tokio::test]
    async fn a_profile_is_read_from_either_file_and_again_when_it_has_changed() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let keys = |key: &str| format!("aws_access_key_id = {key}\naws_secret_access_key=s=1\n");
        std::fs::write(path("credentials"), format!("# ours\n[line]\n{}", keys("first"))).unwrap();
        std::fs::write(path("config"), format!("[profile desk]\nregion=x\n{}", keys("desk")))
            .unwrap();
        let (credentials, config) = (path("credentials"), path("config"));
        let files = [("AWS_SHARED_CREDENTIALS_FILE", &*credentials), ("AWS_CONFIG_FILE", &*config)];
        let found = |profile: &'static str| match find(
            &[&files[..], &[("AWS_PROFILE", profile)]].concat(),
        )? {
            CredentialSource::Profile(profile) => Ok(profile),
            other => panic!("{other:?}"),
        };
        let line = found("line").unwrap();
        assert_eq!(line.get_credential().await.unwrap().key_id, "first");
        assert_eq!(line.get_credential().await.unwrap().secret_key, "s=1");
        assert_eq!(found("desk").unwrap().get_credential().await.unwrap().key_id, "desk");
        let later = SystemTime::now() + std::time::Duration::from_secs(5);
        std::fs::write(path("credentials"), format!("[line]\n{}", keys("second"))).unwrap();
        let file = std::fs::File::options().write(true).open(path("credentials")).unwrap();
        file.set_modified(later).unwrap();
        assert_eq!(line.get_credential().await.unwrap().key_id, "second");
        std::fs::write(path("credentials"), "").unwrap();
        assert_eq!(line.get_credential().await.unwrap().key_id, "second", "half written");
        assert_eq!(found("none").err(), Some(CredentialsError::NoProfile("none".to_owned())));
    }

    #[test]
    fn keys_of_the_environment_come_first_and_half_a_pair_is_refused() {
        let both =
            [("AWS_ACCESS_KEY_ID", "k"), ("AWS_SECRET_ACCESS_KEY", "s"), ("AWS_PROFILE", "x")];
        assert!(matches!(find(&both), Ok(CredentialSource::Environment(_))));
        assert_eq!(find(&both[..1]).err(), Some(CredentialsError::Half("AWS_ACCESS_KEY_ID")));
        assert_eq!(find(&both[1..2]).err(), Some(CredentialsError::Half("AWS_SECRET_ACCESS_KEY")));
    }

    #[test]
    fn without_keys_or_a_profile_the_machine_has_an_identity_or_none() {
        let web = [("AWS_WEB_IDENTITY_TOKEN_FILE", "/t"), ("AWS_ROLE_ARN", "arn")];
        let Ok(CredentialSource::Machine(options)) = find(&web) else { panic!("{web:?}") };
        assert_eq!(options.len(), 2);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config");
        std::fs::write(&path, "[profile sso]\nsso_session = x\n").unwrap();
        let sso = [("AWS_CONFIG_FILE", path.to_str().unwrap()), ("AWS_PROFILE", "sso")];
        assert_eq!(find(&sso).err(), Some(CredentialsError::NoKeys("sso".to_owned())));
    }
}
