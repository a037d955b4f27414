//! Where a body ends: lengths, transfer codings, both at once, and chunks. The classics of request
//! smuggling: CL.TE, TE.CL, TE.TE, CL.0, TE.0.

use super::{Case, Expect, Seen, bad, case, post, seen};

/// What someone who is taken in would answer as a request of its own.
const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: api.test\r\n\r\n";

pub fn cases() -> Vec<Case> {
    let topics = [lengths(), odd_lengths(), codings(), odd_names(), both(), chunks(), endings()];
    topics.into_iter().flatten().collect()
}

fn length(value: &str, body: &str) -> String {
    post(&format!("Content-Length: {value}\r\n"), body)
}

fn coding(value: &str, body: &str) -> String {
    post(&format!("Transfer-Encoding: {value}\r\n"), body)
}

fn a_post() -> Seen {
    Seen::line("POST /x")
}

fn lengths() -> Vec<Case> {
    let hello = || a_post().sized("hello");
    vec![
        seen("a length", hello(), length("5", "hello")),
        seen("length with white space around it", hello(), length(" \t5\t ", "hello")),
        seen("length with zeros before it", hello(), length("0005", "hello")),
        seen("length that would be octal", a_post().sized("12345678"), length("08", "12345678")),
        seen(
            "the same length twice",
            hello(),
            post("Content-Length: 5\r\nContent-Length: 5\r\n", "hello"),
        ),
        seen("length of 0", a_post().sized(""), length("0", "")),
        seen(
            "length of a GET",
            Seen::line("GET /x").sized("hello"),
            "GET /x HTTP/1.1\r\nHost: api.test\r\nContent-Length: 5\r\n\r\nhello",
        ),
        case(
            "CL.0: a request in a body that has no length",
            Expect::Seen(vec![a_post(), Seen::line("GET /smuggled")]),
            post("", SMUGGLED),
        ),
        case(
            "CL.0: a request behind a length of 0",
            Expect::Seen(vec![a_post().sized(""), Seen::line("GET /smuggled")]),
            length("0", SMUGGLED),
        ),
        seen(
            "a request in a body stays in it",
            a_post().sized(SMUGGLED),
            length(&SMUGGLED.len().to_string(), SMUGGLED),
        ),
        seen(
            "a body that looks like chunks",
            a_post().sized("0\r\n\r\n"),
            length("5", "0\r\n\r\n"),
        ),
        bad("lengths that differ", post("Content-Length: 5\r\nContent-Length: 6\r\n", "hello")),
        bad(
            "lengths that differ, far apart",
            post("Content-Length: 5\r\nX: y\r\nZ: w\r\nCONTENT-LENGTH: 0\r\n", SMUGGLED),
        ),
        bad("a length and none", post("Content-Length: 5\r\nContent-Length:\r\n", "hello")),
        bad("space before the colon of a length", post("Content-Length : 5\r\n", "hello")),
        bad("tab before the colon of a length", post("Content-Length\t: 5\r\n", "hello")),
        bad("length on a folded line", post("Content-Length:\r\n 5\r\n", "hello")),
        bad("NUL in the name of a length", post("Content-Length\0: 5\r\n", "hello")),
        bad("line break in the name of a length", post("Content-\r\nLength: 5\r\n", "hello")),
        seen(
            "a name that is nearly that of a length",
            a_post().with("content-lengthy: 5"),
            post("Content-Lengthy: 5\r\n", ""),
        ),
        seen(
            "twin of a length",
            a_post().sized("hello"),
            post("Content_Length: 0\r\nContent-Length: 5\r\n", "hello"),
        ),
    ]
}

fn odd_lengths() -> Vec<Case> {
    let values = [
        "-5",
        "+5",
        "-0",
        "5 5",
        "0 5",
        "5,5",
        "5, 5",
        "5,6",
        "5;",
        "5.0",
        "5e0",
        "0x5",
        "0b101",
        "5b",
        "5_0",
        "5\0",
        "\x0b5",
        "5\x0c",
        "5\x1f",
        "5\u{7f}",
        "\"5\"",
        "'5'",
        "five",
        "",
        "NaN",
        "\u{665}",
        "\u{ff15}",
        "5\u{a0}",
        "18446744073709551616",
        "18446744073709551615",
        "99999999999999999999999999999999999",
        "-18446744073709551611",
        "5\t5",
        "=5",
        ":5",
        "5/5",
        "(5)",
        "5%",
        "%35",
    ];
    let refusal = |value: &str| match value {
        // As much as nobody can send.
        "18446744073709551615" => Expect::Refused(431, "headers_too_large"),
        _ => Expect::Refused(400, "malformed_request"),
    };
    let odd =
        |value: &&str| case(format!("length {value:?}"), refusal(value), length(value, "hello"));
    values.iter().map(odd).collect()
}

fn codings() -> Vec<Case> {
    let body = "5\r\nhello\r\n0\r\n\r\n";
    let mut cases = vec![
        seen("chunked", a_post().chunked("hello"), coding("chunked", body)),
        seen("chunked in capitals", a_post().chunked("hello"), coding("CHUNKED", body)),
        seen("chunked in odd letters", a_post().chunked("hello"), coding("cHuNkEd", body)),
        seen(
            "chunked behind white space",
            a_post().chunked("hello"),
            coding(" \t chunked \t", body),
        ),
        seen(
            "name of a coding in odd letters",
            a_post().chunked("hello"),
            post("tRANSFER-eNCODING:chunked\r\n", body),
        ),
        case(
            "chunked in HTTP/1.0",
            Expect::Refused(400, "malformed_request"),
            format!("POST /x HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{body}"),
        ),
        case(
            "chunked in two lines",
            Expect::Refused(501, "not_implemented"),
            post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", body),
        ),
        case(
            "identity, then chunked in two lines",
            Expect::Refused(501, "not_implemented"),
            post("Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n", body),
        ),
        bad(
            "chunked, then identity in two lines",
            post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", body),
        ),
        bad(
            "chunked, then nothing in two lines",
            post("Transfer-Encoding: chunked\r\nTransfer-Encoding:\r\n", body),
        ),
    ];
    let not_spoken = [
        "gzip, chunked",
        "chunked, chunked",
        "identity, chunked",
        "x, chunked",
        ", chunked",
        ",chunked",
        "gzip;q=1, chunked",
        "chunked ,chunked",
        "\"x\", chunked",
        "x\tchunked, chunked",
    ];
    let refused = Expect::Refused(501, "not_implemented");
    for value in not_spoken {
        cases.push(case(format!("coding {value:?}"), refused.clone(), coding(value, body)));
    }
    let malformed = [
        "",
        "identity",
        "gzip",
        "deflate",
        "cow",
        "chunk",
        "xchunked",
        "chunkedx",
        "chunked;q=1",
        "chunked; x=y",
        "chunked, gzip",
        "chunked, identity",
        "chunked, cow",
        "chunked,",
        "chunked,,",
        "\"chunked\"",
        "'chunked'",
        "chunked chunked",
        "chunked\0",
        "\x0bchunked",
        "chunked\x0b",
        "\x0cchunked",
        "chunked\u{7f}",
        "\u{a0}chunked",
        "chun\u{212a}ed",
        "ch\u{443}nked",
        "chunked\u{85}",
        "(chunked)",
        "chunked/1",
        "=chunked",
        ":chunked",
        "chunked:",
    ];
    for value in malformed {
        cases.push(bad(format!("coding {value:?}"), coding(value, body)));
        // Whatever the coding is, it may not stand beside a length.
        let both = format!("Content-Length: 5\r\nTransfer-Encoding: {value}\r\n");
        cases.push(bad(format!("length and coding {value:?}"), post(&both, SMUGGLED)));
    }
    cases
}

/// Names that someone may take for `Transfer-Encoding`, beside a length.
fn odd_names() -> Vec<Case> {
    let body = "0\r\n\r\n";
    let mut cases = Vec::new();
    for line in [
        "Transfer-Encoding : chunked",
        "Transfer-Encoding\t: chunked",
        " Transfer-Encoding: chunked",
        "\tTransfer-Encoding: chunked",
        "Transfer-Encoding\0: chunked",
        "Transfer-Encoding\x0b: chunked",
        "Transfer Encoding: chunked",
        "Transfer-\u{415}ncoding: chunked",
        "Transfer-Encoding",
        "Transfer-Encoding:\r\n chunked",
        "Transfer-Encoding\r\n : chunked",
        "X: y\rTransfer-Encoding: chunked",
        "X: y\0Transfer-Encoding: chunked",
        "X: y\r\r\nTransfer-Encoding: chunked",
        "\"Transfer-Encoding\": chunked",
        "Transfer-Encoding;x: chunked",
    ] {
        let fields = format!("Content-Length: 5\r\n{line}\r\n");
        cases.push(bad(format!("beside a length: {line:?}"), post(&fields, body)));
    }
    for (line, field) in [
        ("Transfer_Encoding: chunked", None),
        ("TRANSFER_ENCODING: chunked", None),
        ("Transfer.Encoding: chunked", Some("transfer.encoding: chunked")),
        ("TransferEncoding: chunked", Some("transferencoding: chunked")),
        ("Transfer-Encodin: chunked", Some("transfer-encodin: chunked")),
        ("Transfer-Encoding1: chunked", Some("transfer-encoding1: chunked")),
        ("Content-Encoding: chunked", Some("content-encoding: chunked")),
        ("X-Transfer-Encoding: chunked", Some("x-transfer-encoding: chunked")),
        ("X: Transfer-Encoding: chunked", Some("x: Transfer-Encoding: chunked")),
        ("TE: chunked", None),
    ] {
        let expected = field.into_iter().fold(a_post().sized(body), Seen::with);
        let fields = format!("Content-Length: 5\r\n{line}\r\n");
        cases.push(seen(format!("no coding: {line:?}"), expected, post(&fields, body)));
    }
    cases
}

/// A length and a coding. Right behind another request, where only the parser sees the head, the
/// coding wins and the connection ends, as RFC 9112 section 6.3 says.
fn both() -> Vec<Case> {
    let inner = "GPOST / HTTP/1.1\r\nContent-Length: 15\r\n\r\nx=1";
    let te_cl = format!("{:x}\r\n{inner}\r\n0\r\n\r\n", inner.len());
    let cl_te = format!("0\r\n\r\n{SMUGGLED}");
    let both = |name: &str, fields: &str| {
        // An empty body of chunks goes on without framing.
        let kept = fields.lines().any(|line| line == "X: y");
        let kept = if kept { a_post().with("x: y") } else { a_post() };
        let kept = if fields.contains("Z: w") { kept.with("z: w") } else { kept };
        bad(format!("CL.TE: {name}"), post(fields, &cl_te)).behind(Expect::Last(vec![kept]))
    };
    vec![
        both("length first", "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n"),
        both("coding first", "Transfer-Encoding: chunked\r\nContent-Length: 6\r\n"),
        both("odd letters", "CONTENT-length: 6\r\ntRANSFER-eNCODING: CHUNKED\r\n"),
        both("apart", "Content-Length: 6\r\nX: y\r\nZ: w\r\nTransfer-Encoding: chunked\r\n"),
        both("length of 0", "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n"),
        both("no spaces", "Content-Length:6\r\nTransfer-Encoding:chunked\r\n"),
        both("bare LF", "Content-Length: 6\nTransfer-Encoding: chunked\n"),
        both("bare LF in between", "X: y\nTransfer-Encoding: chunked\r\nContent-Length: 6\r\n"),
        both(
            "two equal lengths",
            "Content-Length: 6\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n",
        ),
        both(
            "named by Connection",
            "Connection: content-length\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n",
        ),
        bad("TE.CL", post("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", &te_cl))
            .behind(Expect::Last(vec![a_post().chunked(inner)])),
        case(
            "CL.TE with two codings",
            Expect::Refused(400, "malformed_request"),
            post(
                "Content-Length: 6\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
                &cl_te,
            ),
        )
        .behind(Expect::Refused(501, "not_implemented")),
        case(
            "TE.0: a chunked GET",
            Expect::Seen(vec![Seen::line("GET /x").chunked("hello")]),
            "GET /x HTTP/1.1\r\nHost: api.test\r\nTransfer-Encoding: chunked\r\n\r\n\
             5\r\nhello\r\n0\r\n\r\n",
        ),
    ]
}

fn chunks() -> Vec<Case> {
    let chunk = |size: &str| coding("chunked", &format!("{size}\r\nhello\r\n0\r\n\r\n"));
    let mut cases = Vec::new();
    for size in [
        "5",
        "05",
        "0000000005",
        "5 ",
        "5\t",
        "5;",
        "5;a",
        "5;a=b",
        "5 ; a = b",
        "5;a=\"b;c\"",
        "5;a=b;c=d",
        "5;\u{e4}",
        "5;a\0b",
    ] {
        let expected = a_post().chunked("hello");
        cases.push(seen(format!("chunk size {size:?}"), expected, chunk(size)));
    }
    for size in [
        "",
        " ",
        " 5",
        "\t5",
        "-5",
        "+5",
        "-0",
        "0x5",
        "0X5",
        "x5",
        "5x",
        "5h",
        "g",
        "5,5",
        "5.0",
        "5_0",
        "1_0",
        "1 0",
        "5 5",
        "5\0",
        "\x0b5",
        "5\x0b",
        "5\x0c",
        "ffffffffffffffff5",
        "ffffffffffffffffff",
        "10000000000000005",
        "\u{665}",
        "\u{ff15}",
        "\"5\"",
        "'5'",
        "5=",
        "5:",
        "=5",
        "5\n",
        "5\r",
        "5\r\r",
        "5;a\nb",
        "5;a\rb",
        "5;\n",
        "\r\n5",
        "\n5",
        "5&",
        "five",
    ] {
        // What comes before the first byte of a body is refused before the origin hears of it.
        cases.push(bad(format!("chunk size {size:?}"), chunk(size)));
    }
    let endless = format!("5;{}", "a".repeat(40_000));
    cases.push(bad("endless chunk extension", chunk(&endless)));
    cases.push(bad("chunk size with a bare LF", coding("chunked", "5\nhello\r\n0\r\n\r\n")));
    cases.push(bad("chunk size with a bare CR", coding("chunked", "5\rhello\r\n0\r\n\r\n")));
    cases.push(bad("chunks in bare LF", coding("chunked", "5\nhello\n0\n\n")));
    cases.push(bad("size and data in one line", coding("chunked", "5hello\r\n0\r\n\r\n")));
    for body in
        ["hello\n", "hello\r", "hello", "helloX\r\n", "hello\r\r\n", "hello \r\n", "hell\r\n"]
    {
        let bytes = coding("chunked", &format!("5\r\n{body}0\r\n\r\n"));
        cases.push(case(format!("chunk {body:?}"), Expect::Broken, bytes));
    }
    for later in
        ["zz\r\nhello\r\n", "-1\r\nhello\r\n", "5\nhello\r\n", "\r\n", "ffffffffffffffff5\r\n"]
    {
        let bytes = coding("chunked", &format!("5\r\nhello\r\n{later}0\r\n\r\n"));
        cases.push(case(format!("later chunk {later:?}"), Expect::Broken, bytes));
    }
    cases
}

/// Behind the last chunk.
fn endings() -> Vec<Case> {
    let last = |end: &str| coding("chunked", &format!("5\r\nhello\r\n{end}"));
    let hello = || a_post().chunked("hello");
    vec![
        seen("last chunk of many zeros", hello(), last("000000\r\n\r\n")),
        seen("last chunk with an extension", hello(), last("0;a=b\r\n\r\n")),
        case("last chunk with a bare LF", Expect::Broken, last("0\n\r\n")),
        case("last chunk in letters", Expect::Broken, last("zero\r\n\r\n")),
        seen("an empty body of chunks", a_post(), coding("chunked", "0\r\n\r\n")),
        case(
            "a request behind the last chunk",
            Expect::Seen(vec![hello(), Seen::line("GET /smuggled")]),
            last(&format!("0\r\n\r\n{SMUGGLED}")),
        ),
    ]
}
