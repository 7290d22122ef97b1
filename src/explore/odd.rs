//! What the generator takes for names, texts and packets that nobody thinks of.

/// What stands in names beside what makes them fresh.
pub const DECOR: [&str; 14] = [
    "房间",
    "a b",
    "q?x=1&y",
    "50%25",
    "\"quoted\"",
    "😀",
    "e\u{301}",
    "back\\slash",
    "O'Neil/#1",
    "null",
    "0",
    "  padded",
    "a+b",
    "<b>&amp;",
];

/// Names that look alike, as what stands behind the one, and before and behind the other.
/// No letter or digit is put straight behind a name: its end makes it new, and a longer one may be another trace's.
pub const ALIKE: [(&str, &str, &str); 10] = [
    ("-X", "", "-x"),
    ("-x", "", "-X"),
    ("", "", "-2"),
    ("", "", " "),
    ("", " ", ""),
    ("\u{e9}", "", "e\u{301}"),
    ("\u{e9}", "", "\u{c9}"),
    (" b", "", "+b"),
    (" b", "", "%20b"),
    ("室", "", "窒"),
];

/// Names of rooms that aren't a trace's own: fresh names have letters in them.
pub const SHARED_ROOMS: [&str; 3] = ["20231120", "0", "null"];

/// Literal user names.
pub const ODD_USERS: [&str; 8] = ["null", "12345", " ", "聊天", "test", "😀", "0", "true"];

/// Texts of messages; a number behind most of them tells one from another.
pub const TEXTS: [&str; 14] = [
    "hello",
    "你好，世界",
    "😀👍",
    "e\u{301}",
    "\"",
    "\\",
    "two\nlines",
    "tab\there",
    "null",
    "0",
    "<b>&amp;</b>",
    "{\"type\":\"msg\"}",
    "a+b%20c",
    "'",
];

/// Packets that are malformed, incomplete or of a wrong type. `${room0}` and `${user0}` are the trace's.
pub const RAW: [&str; 34] = [
    "{}",
    "{\"data\":{\"user_name\":\"${user0}\",\"room_name\":\"${room0}\",\"msg\":\"x\"}}",
    "{\"type\":\"join\"}",
    "{\"type\":\"leave\"}",
    "{\"type\":\"msg\"}",
    "{\"type\":\"msg\",\"data\":null}",
    "{\"type\":\"join\",\"data\":{}}",
    "{\"type\":\"msg\",\"data\":{}}",
    "{\"type\":\"join\",\"data\":{\"room_name\":\"${room0}\",\"msg\":\"\"}}",
    "{\"type\":\"leave\",\"data\":{\"room_name\":\"${room0}\",\"msg\":\"\"}}",
    "{\"type\":\"msg\",\"data\":{\"room_name\":\"${room0}\",\"msg\":\"x\"}}",
    "{\"type\":\"join\",\"data\":{\"user_name\":\"${user0}\",\"msg\":\"\"}}",
    "{\"type\":\"leave\",\"data\":{\"user_name\":\"${user0}\",\"msg\":\"\"}}",
    "{\"type\":\"msg\",\"data\":{\"user_name\":\"${user0}\",\"msg\":\"x\"}}",
    "{\"type\":\"msg\",\"data\":{\"user_name\":\"${user0}\",\"room_name\":\"${room0}\"}}",
    "{\"type\":\"join\",\"data\":{\"user_name\":\"\",\"room_name\":\"${room0}\",\"msg\":\"\"}}",
    "{\"type\":\"leave\",\"data\":{\"user_name\":\"\",\"room_name\":\"${room0}\",\"msg\":\"\"}}",
    "{\"type\":\"msg\",\"data\":{\"user_name\":\"\",\"room_name\":\"${room0}\",\"msg\":\"x\"}}",
    "{\"type\":\"join\",\"data\":{\"user_name\":\"${user0}\",\"room_name\":\"\",\"msg\":\"\"}}",
    "{\"type\":\"leave\",\"data\":{\"user_name\":\"${user0}\",\"room_name\":\"\",\"msg\":\"\"}}",
    "{\"type\":\"msg\",\"data\":{\"user_name\":\"${user0}\",\"room_name\":\"\",\"msg\":\"x\"}}",
    "{\"type\":\"msg\",\"data\":{\"user_name\":\"${user0}\",\"room_name\":\"${room0}\",\"msg\":\"\"}}",
    "{\"type\":\"msg\",\"data\":{\"user_name\":\"\",\"room_name\":\"${room0}\",\"msg\":\"\"}}",
    "{\"type\":\"user\",\"data\":{\"user_name\":\"${user0}\",\"room_name\":\"${room0}\",\"msg\":\"join\"}}",
    "{\"type\":\"user\",\"data\":{\"user_name\":\"${user1}\",\"room_name\":\"${room0}\",\"msg\":\"leave\"}}",
    "{\"type\":\"error\",\"data\":{\"user_name\":\"${user0}\",\"room_name\":\"${room0}\",\"msg\":\"hello\"}}",
    "{\"type\":\"dance\",\"data\":{\"user_name\":\"${user0}\",\"room_name\":\"${room0}\",\"msg\":\"x\"}}",
    "{\"type\":\"msg\",\"data\":\"x\"}",
    "{\"type\":\"msg\",\"data\":{\"user_name\":1,\"room_name\":\"${room0}\",\"msg\":\"x\"}}",
    "{\"type\":[],\"data\":{\"user_name\":\"${user0}\",\"room_name\":\"${room0}\",\"msg\":\"x\"}}",
    "[]",
    "null",
    "hello",
    "{\"type\":\"msg\"",
];

/// What stands where 0 or 1 should.
pub const STATUSES: [&str; 8] = ["2", "-1", "abc", "", "10", "01", "true", "1.0"];
