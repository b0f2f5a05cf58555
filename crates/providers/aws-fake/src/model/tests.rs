//! The checker finds what it is for, on a small model of our own; `tests/it` has the official ones.

use super::*;
use crate::params::Params;

const SMALL: &str = r#"{
  "metadata": {"protocol": "PROTOCOL", "apiVersion": "2020-01-01", "xmlNamespace": "urn:small"},
  "operations": {
    "Do": {
      "name": "Do",
      "http": {"method": "POST", "requestUri": "/"},
      "input": {"shape": "DoRequest"},
      "output": {"shape": "DoResult", "resultWrapper": "DoResult"},
      "errors": [{"shape": "TooMuchFault"}]
    },
    "Drop": {"name": "Drop", "http": {"method": "POST", "requestUri": "/"}}
  },
  "shapes": {
    "DoRequest": {
      "type": "structure",
      "required": ["Name"],
      "members": {
        "Name": {"shape": "Name", "locationName": "name"},
        "Sizes": {"shape": "Sizes", "locationName": "Size"},
        "Color": {"shape": "Color"},
        "At": {"shape": "Time"},
        "Dry": {"shape": "Boolean"}
      }
    },
    "DoResult": {
      "type": "structure",
      "required": ["Id"],
      "members": {
        "Id": {"shape": "String", "locationName": "id"},
        "Colors": {"shape": "Colors", "locationName": "colorSet"},
        "Count": {"shape": "Size"},
        "At": {"shape": "Time"}
      }
    },
    "Name": {"type": "string", "min": 2, "max": 5, "pattern": "[a-z]+"},
    "String": {"type": "string"},
    "Color": {"type": "string", "enum": ["red", "blue"]},
    "Colors": {"type": "list", "member": {"shape": "Color", "locationName": "item"}},
    "Size": {"type": "integer", "min": 1, "max": 9},
    "Sizes": {"type": "list", "member": {"shape": "Size"}, "max": 2},
    "Time": {"type": "timestamp"},
    "Boolean": {"type": "boolean"},
    "TooMuchFault": {
      "type": "structure", "members": {}, "exception": true, "error": {"code": "TooMuch"}
    }
  }
}"#;

fn small(protocol: &str) -> Description {
    Description::parse("small", &SMALL.replace("PROTOCOL", protocol)).unwrap()
}

fn request(description: &Description, form: &str) -> Vec<String> {
    let mut findings = Findings::default();
    let params = Params::parse(&format!("Action=Do&Version=2020-01-01&{form}"));
    form::check(
        description,
        &description.operations["Do"],
        &params,
        &mut findings,
    );
    findings.found
}

fn answer(description: &Description, status: u16, body: &str) -> Vec<String> {
    let mut findings = Findings::default();
    description.answer("Do", status, body, &mut findings);
    findings.found
}

#[test]
fn a_correct_request_passes() {
    let form = "Name=abc&Size.1=1&Size.2=9&Color=red&At=2026-01-01T00:00:00Z&Dry=false";
    assert_eq!(request(&small("ec2"), form), Vec::<String>::new());
    let form = form
        .replace("Size.", "Size.member.")
        .replace("Name", "name");
    assert_eq!(request(&small("query"), &form), Vec::<String>::new());
    assert_eq!(
        request(&small("query"), "name=abc&Size="),
        Vec::<String>::new(),
        "an empty list"
    );
}

#[test]
fn what_is_wrong_in_a_request_is_found() {
    let cases = [
        ("Name=abc&Nonsense=1", "`Nonsense`: unknown parameter"),
        ("Name=abc&name=abc", "`name`: unknown parameter"),
        (
            "Name=abc&Color.Hue=1",
            "`Color.Hue`: unknown parameter; `Color`: no value",
        ),
        ("Dry=true", "`Name`: required, and missing"),
        ("Name=a", "`Name`: `a` has 1 characters, the least is 2"),
        (
            "Name=abcdef",
            "`Name`: `abcdef` has 6 characters, the most is 5",
        ),
        ("Name=AB", "`Name`: `AB` does not match `^(?:[a-z]+)$`"),
        ("Name=abc&Size.1=x", "`Size.1`: `x` is not an integer"),
        (
            "Name=abc&Size.1=10",
            "`Size.1`: 10 is out of range, the most is 9",
        ),
        (
            "Name=abc&Size.2=1",
            "`Size`: entries are not numbered from 1 without gaps",
        ),
        (
            "Name=abc&Size.1=1&Size.2=1&Size.3=1",
            "`Size`: 3 entries, the most is 2",
        ),
        (
            "Name=abc&Size.member.1=1",
            "`Size.member`: entries of a list have numbers",
        ),
        ("Name=abc&Size=1", "`Size`: `1` stands where a list does"),
        (
            "Name=abc&Color=green",
            "`Color`: `green` is no value of `Color`",
        ),
        ("Name=abc&Dry=yes", "`Dry`: `yes` is not a boolean"),
        ("Name=abc&At=noon", "`At`: `noon` is not a timestamp"),
    ];
    let description = small("ec2");
    for (form, expected) in cases {
        assert_eq!(request(&description, form).join("; "), expected, "{form}");
    }
    assert_eq!(
        request(&small("query"), "name=abc&Size.1=1").join("; "),
        "`Size.1`: entries are called `member`"
    );
}

#[test]
fn what_is_wrong_in_an_answer_is_found() {
    let whole = |inner: &str| {
        format!("<DoResponse xmlns=\"urn:small\"><requestId>r</requestId>{inner}</DoResponse>")
    };
    let id = "<id>x</id>";
    let cases = [
        (whole(id), ""),
        (
            whole("<id/><colorSet><item>red</item></colorSet><Count>12</Count>"),
            "",
        ),
        (
            whole("<id/><nonsense/>"),
            "`DoResponse.nonsense`: unknown element",
        ),
        (
            whole("<Id/>"),
            "`DoResponse.Id`: unknown element; `DoResponse.id`: required, and missing",
        ),
        (
            whole("<id/><colorSet><member>red</member></colorSet>"),
            "`DoResponse.colorSet[0]`: `member` instead of `item`",
        ),
        (
            whole("<id/><colorSet><item>green</item></colorSet>"),
            "`DoResponse.colorSet[0]`: `green` is no value of `Color`",
        ),
        (
            whole("<id/><Count>many</Count>"),
            "`DoResponse.Count`: `many` is not an integer",
        ),
        (whole("<id/><id/>"), "`DoResponse.id`: stands there twice"),
        (
            "<DoneResponse xmlns=\"urn:small\"><requestId/><id/></DoneResponse>".to_owned(),
            "`DoneResponse`: the root is called `DoResponse`",
        ),
        (
            "<DoResponse><requestId/><id/></DoResponse>".to_owned(),
            "`DoResponse`: the namespace is `` instead of `urn:small`",
        ),
        (
            "<DoResponse xmlns=\"urn:small\"><id/></DoResponse>".to_owned(),
            "`DoResponse`: there is not one `requestId`",
        ),
    ];
    let description = small("ec2");
    for (body, expected) in cases {
        assert_eq!(
            answer(&description, 200, &body).join("; "),
            expected,
            "{body}"
        );
    }
}

#[test]
fn the_query_protocol_has_a_wrapper_and_codes_of_its_own() {
    let description = small("query");
    let body = "<DoResponse xmlns=\"urn:small\"><DoResult><id>x</id></DoResult>\
                <ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></DoResponse>";
    assert_eq!(answer(&description, 200, body), Vec::<String>::new());
    let bare = body.replace("<DoResult>", "").replace("</DoResult>", "");
    assert_eq!(
        answer(&description, 200, &bare).join("; "),
        "`DoResponse.id`: unknown element; `DoResponse.DoResult`: required, and missing"
    );
    let refusal = |code: &str| {
        format!(
            "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>no</Message>\
             </Error><RequestId>r</RequestId></ErrorResponse>"
        )
    };
    for code in ["TooMuch", "Throttling"] {
        let found = answer(&description, 400, &refusal(code));
        assert_eq!(found, Vec::<String>::new());
    }
    assert_eq!(
        answer(&description, 400, &refusal("TooMuchFault")).join("; "),
        "`TooMuchFault` is none of its errors"
    );
    assert_eq!(
        answer(&description, 400, body).join("; "),
        "`DoResponse`: not the form of a refusal"
    );
}

#[test]
fn json_is_checked_in_both_directions() {
    let description = small("json");
    let check = |body: &str, side: Side| {
        let mut findings = Findings::default();
        let operation = &description.operations["Do"];
        let shape = match side {
            Side::Request => operation.input,
            Side::Answer => operation.output,
        };
        json::check(&description, shape, body, side, &mut findings);
        findings.found.join("; ")
    };
    let cases = [
        (r#"{"name":"abc","Size":[1,2],"At":1.5,"Dry":true}"#, ""),
        (r#"{"name":"abc","more":1}"#, "`more`: unknown member"),
        ("{}", "`name`: required, and missing"),
        (r#"{"name":1}"#, "`name`: `1` is not a string"),
        (
            r#"{"name":"abc","Size":["1"]}"#,
            "`Size[0]`: `\"1\"` is not a number",
        ),
        (
            r#"{"name":"abc","Size":[1.5]}"#,
            "`Size[0]`: `1.5` is not an integer",
        ),
        (
            r#"{"name":"abc","Color":"green"}"#,
            "`Color`: `green` is no value of `Color`",
        ),
        (
            r#"{"name":"abc","Dry":"true"}"#,
            "`Dry`: `\"true\"` is not a boolean",
        ),
        (
            r#"{"name":"abc","Size":{}}"#,
            "`Size`: `{}` stands where `Sizes` does",
        ),
    ];
    for (body, expected) in cases {
        assert_eq!(check(body, Side::Request), expected, "{body}");
    }
    assert_eq!(check(r#"{"id":"x","Count":99}"#, Side::Answer), "");
    assert_eq!(
        check(r#"{"Colors":[]}"#, Side::Answer),
        "`Colors`: unknown member; `id`: required, and missing"
    );
}
