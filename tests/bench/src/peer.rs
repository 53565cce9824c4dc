//! The floor's far end: receive a frame, commit twice with `synchronous=FULL`, send a frame.

use std::path::Path;

use anyhow::{Context, Result};
use rusqlite::Connection;
use tokio_tungstenite::tungstenite::{self, Message};

/// Serves frames until the floor closes.
pub fn run(url: &str, dir: &Path) -> Result<()> {
    // A clinic has two files, its own database and the agent's spool: one commit in each.
    let clinic = database(&dir.join("one.db"))?;
    let spool = database(&dir.join("two.db"))?;
    let address = url.trim_start_matches("ws://").split('/').next().unwrap_or_default();
    let stream = std::net::TcpStream::connect(address).context("reaching the floor")?;
    stream.set_nodelay(true)?;
    let (mut socket, _) = tungstenite::client(url, stream).context("opening the WebSocket")?;
    loop {
        match socket.read() {
            Ok(Message::Text(text)) => {
                for connection in [&clinic, &spool] {
                    connection
                        .prepare_cached("INSERT INTO kept (body) VALUES (?1)")?
                        .execute([text.as_str()])?;
                }
                socket.send(Message::Text(text))?;
            }
            Ok(Message::Close(_)) | Err(tungstenite::Error::ConnectionClosed) => return Ok(()),
            Ok(_) => {}
            Err(error) => return Err(error).context("reading a frame"),
        }
    }
}

fn database(path: &Path) -> Result<Connection> {
    let connection =
        Connection::open(path).with_context(|| format!("opening {}", path.display()))?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.execute_batch("CREATE TABLE kept (id INTEGER PRIMARY KEY, body TEXT NOT NULL)")?;
    Ok(connection)
}
