//! As much of HTTP as asking a Triton server on this machine takes. A test may block.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Longer than loading a model takes.
const HTTP_TIMEOUT: Duration = Duration::from_secs(30);

/// One HTTP request: the status and the body.
pub(crate) fn http(port: u16, method: &str, path: &str, body: &str) -> io::Result<(u16, String)> {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let mut stream = TcpStream::connect_timeout(&address, HTTP_TIMEOUT)?;
    stream.set_read_timeout(Some(HTTP_TIMEOUT))?;
    let length = body.len();
    // In one piece: Triton's HTTP server misreads a path that arrives in two.
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes())?;
    // Triton does not always close the connection after the answer.
    let mut answer = BufReader::new(stream);
    let mut line = String::new();
    answer.read_line(&mut line)?;
    let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
    let mut length = 0;
    while line != "\r\n" {
        line.clear();
        answer.read_line(&mut line)?;
        if let Some((name, value)) = line.split_once(": ") {
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().map_err(io::Error::other)?;
            }
        } else if line.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    let mut body = vec![0; length];
    answer.read_exact(&mut body)?;
    let status = status.ok_or_else(|| io::Error::other("not HTTP"))?;
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}
