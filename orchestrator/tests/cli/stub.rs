//! An admin API that answers what a test says, and remembers what it was asked.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// Answers by method and path; another one gets 404.
#[derive(Debug, Default)]
pub struct Stub {
    answers: BTreeMap<String, String>,
}

/// A stub that listens.
pub struct Running {
    pub url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

/// A request.
#[derive(Debug, Clone)]
pub struct Asked {
    /// `GET /path`.
    pub route: String,
    /// In lower case.
    pub headers: String,
    pub body: String,
}

impl Stub {
    /// `route` is `GET /path`.
    pub fn answer(&mut self, route: &str, status: u16, body: &str) {
        self.answer_with(route, status, "", body);
    }

    /// With more headers, each with its line end.
    pub fn answer_with(&mut self, route: &str, status: u16, headers: &str, body: &str) {
        let length = body.len();
        let head =
            format!("HTTP/1.1 {status} -\r\nconnection: close\r\n{headers}content-length: {length}\r\n\r\n");
        self.answers.insert(route.to_owned(), head + body);
    }

    /// Without a length: the answer ends with the connection.
    pub fn stream(&mut self, route: &str, body: &str) {
        let head = "HTTP/1.1 200 -\r\nconnection: close\r\ncontent-type: text/event-stream\r\n\r\n";
        self.answers.insert(route.to_owned(), head.to_owned() + body);
    }

    /// Listens for as long as the test runs.
    pub fn start(self) -> Running {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let notes = asked.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                self.serve(stream.unwrap(), &notes);
            }
        });
        Running { url, asked }
    }

    fn serve(&self, mut stream: TcpStream, notes: &Mutex<Vec<Asked>>) {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let (mut first, mut headers) = (String::new(), String::new());
        reader.read_line(&mut first).unwrap();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            if line.trim().is_empty() {
                break;
            }
            headers += &line.to_lowercase();
        }
        let length = headers.lines().find_map(|line| line.strip_prefix("content-length:"));
        let mut body = vec![0; length.map_or(0, |length| length.trim().parse().unwrap())];
        reader.read_exact(&mut body).unwrap();
        let route = first.split(' ').take(2).collect::<Vec<_>>().join(" ");
        let unknown =
            "HTTP/1.1 404 -\r\nconnection: close\r\ncontent-length: 25\r\n\r\n{\"title\":\"Unknown route\"}";
        let answer = self.answers.get(&route).map_or(unknown, String::as_str);
        notes.lock().unwrap().push(Asked { route, headers, body: String::from_utf8(body).unwrap() });
        // A client that has gone has what it wanted.
        let _ = stream.write_all(answer.as_bytes());
    }
}

impl Running {
    /// What was asked so far, in order.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}
