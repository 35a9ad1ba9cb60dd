//! Where to listen, as people write it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs as _};

/// What stands in a refusal.
const EXAMPLES: &str = "write a port, or an address of this machine with one, such as 8080, \
                        localhost:8080, 0.0.0.0:8080 or [::1]:8080";

/// Parses where to listen; for clap's `value_parser`. Without a host it is this machine alone, because nobody
/// else is let in unless somebody says so. A name is looked up, `localhost` excepted: it is 127.0.0.1
/// everywhere.
///
/// # Errors
/// When there is no port, it is none, or the host has no address.
pub fn listen_address(text: &str) -> Result<SocketAddr, String> {
    let text = text.trim();
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let (host, port) = text.rsplit_once(':').unwrap_or(("", text));
    // An IPv6 address without brackets: what is its port?
    if host.contains(':') {
        return Err(EXAMPLES.to_owned());
    }
    let port: u16 = port.parse().map_err(|_| EXAMPLES.to_owned())?;
    match host {
        "" | "localhost" => Ok(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)),
        "*" => Ok(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port)),
        name => (name, port)
            .to_socket_addrs()
            .ok()
            .and_then(|mut found| found.next())
            .ok_or_else(|| format!("no address is known of {name:?}; {EXAMPLES}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_as_people_write_them() {
        for (written, meant) in [
            ("127.0.0.1:8080", "127.0.0.1:8080"),
            ("localhost:8080", "127.0.0.1:8080"),
            (":8080", "127.0.0.1:8080"),
            ("8080", "127.0.0.1:8080"),
            (" 0 ", "127.0.0.1:0"),
            ("*:80", "0.0.0.0:80"),
            ("0.0.0.0:8080", "0.0.0.0:8080"),
            ("[::1]:8080", "[::1]:8080"),
            ("[::]:0", "[::]:0"),
        ] {
            assert_eq!(listen_address(written).unwrap().to_string(), meant, "{written:?}");
        }
    }

    #[test]
    fn what_is_no_address_is_answered_with_some_that_are() {
        for written in
            ["", ":", "localhost", "127.0.0.1", "::1", "::1:8080", "65536", "-1", "a:b", "1:2:3"]
        {
            let said = listen_address(written).unwrap_err();
            assert!(said.contains("localhost:8080"), "{written:?}: {said}");
        }
    }
}
