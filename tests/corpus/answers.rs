//! What origins say: a response that is malformed or ends in two places is none, and nothing of it
//! reaches the client.

use crate::support::client::{Client, Request, Response};
use crate::support::origin::Origin;
use crate::support::proxy::Setup;

struct Answer {
    name: String,
    bytes: Vec<u8>,
    method: &'static str,
}

fn answer(name: &str, bytes: impl Into<Vec<u8>>) -> Answer {
    Answer { name: name.to_owned(), bytes: bytes.into(), method: "GET" }
}

fn to_head(name: &str, bytes: impl Into<Vec<u8>>) -> Answer {
    Answer { method: "HEAD", ..answer(name, bytes) }
}

/// A 200 with these lines and a body of five bytes.
fn ok(fields: &str) -> String {
    format!("HTTP/1.1 200 OK\r\n{fields}\r\nhello")
}

fn malformed() -> Vec<Answer> {
    let mut all = Vec::new();
    for line in [
        "HTTP/1.1 20 OK",
        "HTTP/1.1 2000 OK",
        "HTTP/1.1 abc OK",
        "HTTP/1.1 -20 OK",
        "HTTP/1.1 099 OK",
        "HTTP/1.1 000 OK",
        "HTTP/1.1",
        "HTTP/1.1 ",
        "HTTP/2.0 200 OK",
        "HTTP/1.2 200 OK",
        "HTTP/0.9 200 OK",
        "http/1.1 200 OK",
        "HTTP/1.1200 OK",
        "HTTP/1.1  200 OK",
        " HTTP/1.1 200 OK",
        "ICY 200 OK",
        "HTTP/1.1 200 O\0K",
        "HTTP/1.1 200 O\rK",
        "HTTP/1.1 200 O\x01K",
        "<html>hello</html>",
        "\0\0\0\0\0\0\0\0\0",
        "GET / HTTP/1.1",
    ] {
        all.push(answer(&format!("{line:?}"), format!("{line}\r\nContent-Length: 5\r\n\r\nhello")));
    }
    for field in [
        "X: a\0b",
        "X: a\rb",
        "X: a\rSet-Cookie: b=c",
        "X: a\x01b",
        "X: a\x7fb",
        "X Y: z",
        "X : y",
        "X\t: y",
        ": y",
        "nonsense",
        "X: y\r\n z",
        "X: y\r\n\tz",
        " X: y",
        "\u{e4}: y",
        "X\0: y",
        "(X): y",
        "Content-Length: 6",
        "Content-Length: -5",
        "Content-Length: x",
        "Content-Length:",
        "Transfer-Encoding: chunked",
        "Transfer-Encoding: gzip",
        "Transfer-Encoding: identity",
        "Transfer-Encoding: \x0bchunked",
        "Transfer-Encoding : chunked",
    ] {
        all.push(answer(&format!("{field:?}"), ok(&format!("Content-Length: 5\r\n{field}\r\n"))));
    }
    for value in [
        "-5",
        "+5",
        "5 5",
        "5,6",
        "5, 5",
        "0x5",
        "5b",
        "5.0",
        "",
        "\"5\"",
        "five",
        "99999999999999999999999",
    ] {
        let name = format!("length {value:?}");
        all.push(answer(&name, ok(&format!("Content-Length: {value}\r\n"))));
        let length = format!("HTTP/1.1 200 OK\r\nContent-Length: {value}\r\n\r\n");
        all.push(to_head(&format!("{name} for HEAD"), length));
        let unchanged = format!("HTTP/1.1 304 Not Modified\r\nContent-Length: {value}\r\n\r\n");
        all.push(answer(&format!("{name} in a 304"), unchanged));
    }
    let chunks = "5\r\nhello\r\n0\r\n\r\n";
    for coding in
        ["gzip", "gzip, chunked", "chunked, chunked", "identity", "chunked, gzip", "x", ""]
    {
        let bytes = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: {coding}\r\n\r\n{chunks}");
        all.push(answer(&format!("coding {coding:?}"), bytes));
    }
    let interim = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
    all.extend([
        answer(
            "two codings",
            format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}"),
        ),
        answer("coding in HTTP/1.0", format!("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}")),
        answer("a head of 40 KB", ok(&format!("Content-Length: 5\r\nX: {}\r\n", "a".repeat(40_000)))),
        answer(
            "101 fields",
            ok(&(0..101).map(|i| format!("X-{i}: y\r\n")).collect::<String>()),
        ),
        answer("nine interim responses", format!("{}{}", interim.repeat(9), ok("Content-Length: 5\r\n"))),
        answer("interim responses without an end", interim.repeat(10_000)),
        answer("an upgrade that nobody asked for", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n"),
        answer("a bad interim response", format!("HTTP/1.1 103 x\r\nX : y\r\n\r\n{}", ok("Content-Length: 5\r\n"))),
    ]);
    all
}

fn told(answers: &'static [Answer]) -> Origin {
    Origin::with("us", move |exchange| {
        exchange.read_body()?;
        exchange.keep = false;
        let number: usize = exchange.head.word(1).trim_start_matches('/').parse().unwrap();
        exchange.send(&answers[number].bytes)
    })
}

fn leaked(answers: Vec<Answer>) -> &'static [Answer] {
    Box::leak(answers.into_boxed_slice())
}

#[test]
fn a_response_that_is_none_is_told_as_that_and_nothing_of_it_gets_through() {
    let answers = leaked(malformed());
    assert!(answers.len() >= 80, "{}", answers.len());
    let origin = told(answers);
    let proxy = Setup::over(&[("us", origin.address)]).workers(1).start();
    let mut client = proxy.client();
    let mut complaints = Vec::new();
    for (number, answer) in answers.iter().enumerate() {
        let given = client.try_ask(&Request::new(answer.method, &format!("/{number}")));
        let wrong = match given {
            Ok(given) => complaint(&given, answer),
            Err(error) => {
                client = Client::connect(proxy.address);
                Some(error.to_string())
            }
        };
        complaints.extend(wrong.map(|wrong| format!("{}: {wrong}", answer.name)));
    }
    let (wrong, all) = (complaints.len(), answers.len());
    assert!(complaints.is_empty(), "{wrong} of {all}:\n{}", complaints.join("\n"));
}

fn complaint(given: &Response, answer: &Answer) -> Option<String> {
    let is_problem = given.status() == 502
        && given.head.get("content-type") == Some("application/problem+json")
        && (answer.method == "HEAD" || given.json()["reason"] == "upstream_protocol");
    let own = ["content-type", "proxy-status", "content-length", "date", "connection"];
    let foreign = given.head.fields.iter().any(|(name, _)| !own.contains(&&*name.to_lowercase()));
    (!is_problem || foreign).then(|| format!("{given:?}"))
}

#[test]
fn what_is_odd_but_has_one_meaning_is_passed_on_in_its_usual_form() {
    let interim = "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(8);
    let answers = leaked(vec![
        answer("two equal lengths", ok("Content-Length: 5\r\ncontent-length: 5\r\n")),
        answer("a length with zeros before it", ok("Content-Length: 0005\r\n")),
        answer("eight interim responses", format!("{interim}{}", ok("Content-Length: 5\r\n"))),
        answer("bare LF", "HTTP/1.1 200 OK\nContent-Length: 5\n\nhello"),
        answer("more than its length", ok("Content-Length: 5\r\n") + "HTTP/1.1 200 OK\r\n\r\nevil"),
        answer(
            "fields between hops",
            ok(
                "Content-Length: 5\r\nConnection: x-private, content-length\r\nX-Private: 1\r\nKeep-Alive: 5\r\n",
            ),
        ),
        answer(
            "trailers",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: Set-Cookie, X-A\r\n\r\n\
             5\r\nhello\r\n0\r\nSet-Cookie: a=1\r\nContent-Length: 9\r\nX-A: 1\r\n\r\n",
        ),
        answer("no reason", "HTTP/1.1 200\r\nContent-Length: 5\r\n\r\nhello"),
        answer("HTTP/1.0 until the end", "HTTP/1.0 200 OK\r\n\r\nhello"),
    ]);
    let origin = told(answers);
    let proxy = Setup::over(&[("us", origin.address)]).workers(1).start();
    let mut client = proxy.client();
    for (number, answer) in answers.iter().enumerate() {
        let given = client.ask(&Request::get(&format!("/{number}")).with("TE", "trailers"));
        assert_eq!((given.status(), &*given.body.text()), (200, "hello"), "{}", answer.name);
        assert!(given.head.all("content-length").iter().all(|length| *length == "5"));
        assert!(given.head.all("content-length").len() < 2, "{given:#?}");
        for name in ["x-private", "keep-alive", "set-cookie", "link"] {
            assert_eq!(given.head.all(name), [""; 0], "{}", answer.name);
        }
        let fine = |(name, _): &(String, String)| name.eq_ignore_ascii_case("x-a");
        assert!(given.body.trailers.iter().all(fine), "{given:#?}");
    }
}
