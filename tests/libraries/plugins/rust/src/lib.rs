//! Counts in Redis, over a TcpStream of the standard library, to a server that is given by name.
use std::error::Error;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;
use taskhost::Config;

async fn write_all(mut stream: &TcpStream, mut bytes: &[u8]) -> std::io::Result<()> {
    while !bytes.is_empty() {
        match stream.write(bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == ErrorKind::WouldBlock => taskhost::writable(stream).await?,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

async fn read_line(mut stream: &TcpStream) -> std::io::Result<String> {
    let mut line = Vec::new();
    while !line.ends_with(b"\n") {
        let mut bytes = [0; 512];
        match stream.read(&mut bytes) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => line.extend_from_slice(&bytes[..count]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => taskhost::readable(stream).await?,
            Err(error) => return Err(error),
        }
    }
    Ok(String::from_utf8_lossy(&line).trim_end().to_string())
}

async fn client() -> Result<(), Box<dyn Error>> {
    let config = Config::with_keys(&["host", "port", "every"])?;
    let host = config.get_or("/host", "localhost".to_string())?;
    let port: u16 = config.get_or("/port", 6379)?;
    let every = config.get_or("/every", Duration::from_secs(1))?;
    let connecting = taskhost::unblock(move || TcpStream::connect((host, port)));
    let stream = taskhost::timeout(Duration::from_secs(5), connecting).await??;
    stream.set_nonblocking(true)?;
    loop {
        write_all(&stream, b"INCR rust\r\n").await?;
        let answer = taskhost::timeout(Duration::from_secs(5), read_line(&stream)).await??;
        if !answer.starts_with(':') {
            return Err(answer.into());
        }
        taskhost::notify_ready();
        taskhost::heartbeat();
        taskhost::sleep(every).await;
    }
}

taskhost::plugin! { "client" => client }
