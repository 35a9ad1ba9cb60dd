//! The port of a node, with every connection to it in hand: dropping the gate, or cutting, breaks them.

use std::sync::{Arc, Mutex};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::{AbortHandle, JoinHandle};

pub(crate) struct Gate {
    pub(crate) port: u16,
    connections: Arc<Mutex<Vec<AbortHandle>>>,
    listening: JoinHandle<()>,
    serving: JoinHandle<()>,
}

impl Gate {
    /// Listens on `port`, any when it is 0, and hands every connection on to `inner_port`, where `serving` serves.
    pub(crate) async fn open(port: u16, inner_port: u16, serving: JoinHandle<()>) -> Self {
        let listener = listen_on(port).await;
        let port = listener.local_addr().unwrap().port();
        let connections = Arc::new(Mutex::new(Vec::new()));
        let all = Arc::clone(&connections);
        let listening = tokio::spawn(async move {
            while let Ok((mut outer, _)) = listener.accept().await {
                outer.set_nodelay(true).unwrap();
                let handed_on = tokio::spawn(async move {
                    let Ok(mut inner) = TcpStream::connect(("127.0.0.1", inner_port)).await else {
                        return;
                    };
                    inner.set_nodelay(true).unwrap();
                    let _ = copy_bidirectional(&mut outer, &mut inner).await;
                });
                all.lock().unwrap().push(handed_on.abort_handle());
            }
        });
        Self { port, connections, listening, serving }
    }

    /// Breaks every connection that there is.
    pub(crate) fn cut(&self) {
        self.connections.lock().unwrap().drain(..).for_each(|connection| connection.abort());
    }
}

/// A port that was left a moment ago may still be taken by what is closing.
async fn listen_on(port: u16) -> TcpListener {
    for _ in 0..200 {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        if socket.bind(([127, 0, 0, 1], port).into()).is_ok()
            && let Ok(listener) = socket.listen(64)
        {
            return listener;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("port {port} does not become free")
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.listening.abort();
        self.serving.abort();
        self.cut();
    }
}
