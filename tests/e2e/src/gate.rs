//! A gate before a server, so that it can go away for one network and come back.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// The gate; shut, it takes no connection and drops those that it has.
#[derive(Clone)]
pub struct Gate {
    addr: SocketAddr,
    path: String,
    is_open: Arc<watch::Sender<bool>>,
}

impl Gate {
    /// A gate before the server of `url`.
    pub async fn before(url: &str) -> Self {
        let (_, rest) = url.split_once("//").expect("a URL with a host");
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let addr = listener.local_addr().expect("its address");
        let gate = Self { addr, path: path.to_owned(), is_open: Arc::new(watch::channel(true).0) };
        tokio::spawn(gate.clone().keep(listener, host.to_owned()));
        gate
    }

    /// The server's URL, through the gate.
    pub fn url(&self) -> String {
        format!("http://{}/{}", self.addr, self.path)
    }

    pub fn shut(&self) {
        self.is_open.send_replace(false);
    }

    pub fn open(&self) {
        self.is_open.send_replace(true);
    }

    async fn keep(self, listener: TcpListener, host: String) {
        while let Ok((mut from, _)) = listener.accept().await {
            let mut is_open = self.is_open.subscribe();
            if !*is_open.borrow_and_update() {
                continue;
            }
            let Ok(mut to) = TcpStream::connect(&host).await else { continue };
            tokio::spawn(async move {
                tokio::select! {
                    _ = copy_bidirectional(&mut from, &mut to) => {}
                    _ = is_open.wait_for(|open| !open) => {}
                }
            });
        }
    }
}
