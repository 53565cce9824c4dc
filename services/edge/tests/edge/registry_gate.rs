//! A gate before the registry, so that it can go away for one edge and come back.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// The gate; shut, it takes no connection and drops those that it has.
#[derive(Clone)]
pub struct Gate {
    addr: SocketAddr,
    is_open: Arc<watch::Sender<bool>>,
}

impl Gate {
    /// A gate before the server of `url`.
    pub async fn before(url: &str) -> Self {
        let host = url.split("//").nth(1).and_then(|rest| rest.split('/').next()).unwrap();
        let (is_open, _) = watch::channel(true);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let gate = Self { addr: listener.local_addr().unwrap(), is_open: Arc::new(is_open) };
        tokio::spawn(gate.clone().keep(listener, host.to_owned()));
        gate
    }

    /// The server's URL, through the gate.
    pub fn url(&self, url: &str) -> String {
        let path = url.split("//").nth(1).and_then(|rest| rest.split_once('/')).unwrap().1;
        format!("http://{}/{path}", self.addr)
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
