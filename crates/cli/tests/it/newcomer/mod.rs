//! The mistakes of a newcomer, on every cloud with a fake: each is told in one line, with the way
//! out, and nothing is made.

mod clouds;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, TcpListener};

use fleetwright_rest::testing::{Fault, Reply, Trouble};

use crate::bed::{Bed, Ran};
use clouds::{Cloud, open};

/// What is written where, before the mistake.
struct Setup {
    provider: BTreeMap<&'static str, String>,
    pool: BTreeMap<&'static str, String>,
    candidate: BTreeMap<&'static str, String>,
    options: Option<String>,
    /// At the end of the file.
    more: String,
    token: Option<String>,
}

/// What a mistake does to the setup: the word that must be told, or `None` if this cloud has no
/// such thing.
type Change = fn(&dyn Cloud, &mut Setup) -> Option<String>;

/// What, found by which command, how.
type Mistake = (&'static str, &'static [&'static str], Change);

const OFFLINE: &[&str] = &["validate"];
const ONLINE: &[&str] = &["validate", "--online"];
const CHECK: &[&str] = &["providers", "--check"];
/// Mistakes that are made at the same time.
const AT_ONCE: usize = 8;
const UP: &[&str] = &["up", "--yes", "--timeout", "15s"];

const MISTAKES: [Mistake; 31] = [
    ("a token that is wrong", ONLINE, |_, setup| {
        setup.token = Some("mistyped".to_owned());
        Some("token".to_owned())
    }),
    ("a token that is wrong, at once", UP, |_, setup| {
        setup.token = Some("mistyped".to_owned());
        Some("token".to_owned())
    }),
    ("no token", ONLINE, |cloud, setup| {
        setup.token = None;
        Some(cloud.token().0.to_owned())
    }),
    ("the token itself in the file", OFFLINE, |cloud, setup| {
        setup.provider.insert("token", text(&cloud.token().1));
        Some("env:".to_owned())
    }),
    ("a token that may only read", UP, |cloud, setup| {
        setup.token = Some(cloud.read_only()?);
        Some("token".to_owned())
    }),
    ("a region that there is not", ONLINE, |cloud, setup| {
        let [region, _] = cloud.shop().regions;
        setup
            .provider
            .insert("regions", format!("[\"{region}\", \"atlantis\"]"));
        Some("atlantis".to_owned())
    }),
    ("no region", OFFLINE, |_, setup| {
        setup.provider.insert("regions", "[]".to_owned());
        Some("regions".to_owned())
    }),
    ("a pool in another region", OFFLINE, |_, setup| {
        setup.candidate.insert("region", text("atlantis"));
        Some("atlantis".to_owned())
    }),
    ("a type that is misspelled", ONLINE, |cloud, setup| {
        let shop = cloud.shop();
        setup.candidate.insert("type", text(shop.misspelled));
        Some(shop.misspelled.to_owned())
    }),
    ("a type that is misspelled, at once", UP, |cloud, setup| {
        let shop = cloud.shop();
        setup.candidate.insert("type", text(shop.misspelled));
        Some(shop.misspelled.to_owned())
    }),
    ("GPUs where there are none", ONLINE, |cloud, setup| {
        let (kind, region) = cloud.shop().gpu?;
        setup.candidate.insert("type", text(kind));
        setup.candidate.insert("region", text(region));
        Some(kind.to_owned())
    }),
    (
        "the file of a key instead of the key",
        OFFLINE,
        |_, setup| {
            let keys = "[\"~/.ssh/id_ed25519.pub\"]".to_owned();
            setup.pool.insert("ssh_keys", keys);
            Some("ssh_keys".to_owned())
        },
    ),
    ("an image that there is not", UP, |_, setup| {
        setup.pool.insert("image", text("ubunto-99"));
        Some("ubunto-99".to_owned())
    }),
    ("an image of another region", UP, |cloud, setup| {
        let image = cloud.shop().foreign_image?;
        setup.pool.insert("image", text(&image));
        Some(image)
    }),
    ("a name that is taken", UP, |cloud, _| {
        cloud.name_taken();
        Some("name".to_owned())
    }),
    ("user data that is too long", OFFLINE, |_, setup| {
        let long = format!("\"#!/bin/sh\\n#{}\"", "x".repeat(1_100_000));
        setup.pool.insert("user_data", long);
        Some("user data".to_owned())
    }),
    ("no quota", UP, |cloud, _| {
        cloud.no_quota();
        let word = match cloud.kind() {
            "lambda" | "scaleway" => "quota",
            _ => "imit",
        };
        Some(word.to_owned())
    }),
    ("sold out", UP, |cloud, _| {
        let kind = cloud.shop().kind;
        cloud.no_stock();
        Some(kind.to_owned())
    }),
    ("fewer than no machines", OFFLINE, |_, setup| {
        setup.pool.insert("desired", "-1".to_owned());
        Some("desired".to_owned())
    }),
    (
        "at least more machines than at most",
        OFFLINE,
        |_, setup| {
            setup.pool.insert("min", "9".to_owned());
            setup.pool.insert("max", "3".to_owned());
            Some("max".to_owned())
        },
    ),
    ("another currency", ONLINE, |cloud, setup| {
        let price = match cloud.kind() {
            "hetzner" | "scaleway" => "$5.00/h",
            _ => "€5.00/h",
        };
        setup.pool.insert("max_price", text(price));
        Some("max_price".to_owned())
    }),
    ("spot", ONLINE, |_, setup| {
        setup.candidate.insert("market", text("spot"));
        Some("spot".to_owned())
    }),
    ("a zone where there are none", ONLINE, |cloud, setup| {
        let [region, _] = cloud.shop().regions;
        setup
            .candidate
            .insert("zone", text(&format!("{region}-9z")));
        Some(format!("{region}-9z"))
    }),
    ("a label that is too long", OFFLINE, |_, setup| {
        let labels = format!("{{ {} = \"x\" }}", "l".repeat(80));
        setup.pool.insert("labels", labels);
        Some("label".to_owned())
    }),
    ("an option that there is not", OFFLINE, |_, setup| {
        setup.options = Some("imgae = \"x\"".to_owned());
        Some("imgae".to_owned())
    }),
    ("a firewall that there is not", UP, |cloud, setup| {
        let (options, word) = cloud.shop().no_such_firewall?;
        setup.options = Some(options.to_owned());
        Some(word.to_owned())
    }),
    (
        "an address that nobody listens at",
        CHECK,
        |cloud, setup| {
            let address =
                TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|free| free.local_addr());
            let address = address.expect("a free port");
            let path = cloud.endpoint().replace(&cloud.server().url(), "");
            setup
                .provider
                .insert("endpoint", text(&format!("http://{address}{path}")));
            Some("endpoint".to_owned())
        },
    ),
    ("an address that answers HTML", CHECK, |cloud, _| {
        let page = "<html><body>log in to the network</body></html>";
        let page = Trouble::Refuse(Reply::text(200, "text/html", page));
        cloud.server().fault(Fault::new("*", "/**", page).always());
        Some("text/html".to_owned())
    }),
    ("an address without `https://`", OFFLINE, |_, setup| {
        setup.provider.insert("endpoint", text("api.example.com"));
        Some("https://".to_owned())
    }),
    ("too many requests, and no end of it", UP, |cloud, _| {
        let fault = Fault::new("*", "/**", Trouble::too_many(Some(1))).always();
        cloud.server().fault(fault);
        Some("requests".to_owned())
    }),
    ("two providers on one account", OFFLINE, |cloud, setup| {
        setup.more = provider("again", cloud, &BTreeMap::new());
        Some("again".to_owned())
    }),
];

fn text(word: &str) -> String {
    format!("\"{word}\"")
}

fn lines(of: &BTreeMap<&'static str, String>) -> String {
    of.iter().fold(String::new(), |mut all, (key, value)| {
        writeln!(all, "{key} = {value}").expect("a string can be written to");
        all
    })
}

fn provider(name: &str, cloud: &dyn Cloud, changes: &BTreeMap<&'static str, String>) -> String {
    let [here, there] = cloud.shop().regions;
    let mut all = BTreeMap::from([
        ("kind", text(cloud.kind())),
        ("regions", format!("[\"{here}\", \"{there}\"]")),
        ("endpoint", text(&cloud.endpoint())),
        ("ssh", "false".to_owned()),
        ("listing_lag", text("50ms")),
    ]);
    all.extend(changes.iter().map(|(key, value)| (*key, value.clone())));
    format!("[providers.{name}]\n{}{}", lines(&all), cloud.further())
}

impl Setup {
    fn of(cloud: &dyn Cloud) -> Self {
        let shop = cloud.shop();
        Self {
            provider: BTreeMap::new(),
            pool: BTreeMap::from([("desired", "1".to_owned())]),
            candidate: BTreeMap::from([
                ("provider", text("cloud")),
                ("region", text(shop.regions[0])),
                ("type", text(shop.kind)),
            ]),
            options: None,
            more: String::new(),
            token: Some(cloud.token().1),
        }
    }

    fn bed(&self, cloud: &dyn Cloud) -> Bed {
        let candidate: Vec<String> = self
            .candidate
            .iter()
            .map(|(key, value)| format!("{key} = {value}"))
            .collect();
        let options = self.options.as_ref();
        let options = options.map_or_else(String::new, |o| format!("[pools.web.options]\n{o}\n"));
        let bed = Bed::new(&format!(
            "fleet = \"test\"\n{}[pools.web]\n{}candidates = [{{ {} }}]\n{options}{}",
            provider("cloud", cloud, &self.provider),
            lines(&self.pool),
            candidate.join(", "),
            self.more,
        ));
        match &self.token {
            Some(token) => bed.with(cloud.token().0, token),
            None => bed,
        }
    }
}

/// What is wrong with how a mistake was told.
fn faults(ran: &Ran, word: &str, secret: &str) -> Vec<String> {
    let all = format!("{}{}", ran.stderr, ran.stdout);
    let errors: Vec<&str> = ran
        .stderr
        .lines()
        .filter(|l| l.starts_with("error: "))
        .collect();
    let mut faults = Vec::new();
    if ran.status.is_none_or(|status| !(3..=24).contains(&status)) {
        faults.push(format!("the status is {:?}", ran.status));
    }
    if errors.len() != 1 {
        faults.push(format!("there are {} lines of errors", errors.len()));
    }
    // What must be, is the way out.
    let has_way_out = ran.stderr.lines().any(|line| line.starts_with("hint: "))
        || errors.iter().any(|line| line.contains(" must "));
    if !has_way_out {
        faults.push("there is no hint".to_owned());
    }
    if !all.contains(word) {
        faults.push(format!("`{word}` is not told"));
    }
    if ran
        .stderr
        .lines()
        .filter(|line| line.trim().starts_with("cause: "))
        .count()
        > 1
    {
        faults.push("the causes are a stack".to_owned());
    }
    if all.contains(secret) {
        faults.push("the token is shown".to_owned());
    }
    faults
}

/// How a mistake was told, and what is wrong with that.
fn make(kind: &str, (what, command, change): Mistake) -> (String, Option<String>) {
    let cloud = open(kind);
    let mut setup = Setup::of(&*cloud);
    let Some(word) = change(&*cloud, &mut setup) else {
        return (format!("# {what}: not here\n\n"), None);
    };
    let bed = setup.bed(&*cloud);
    let ran = bed.run(command);
    let mut faults = faults(&ran, &word, &cloud.token().1);
    if cloud.machines() != 0 {
        faults.push("a machine was made".to_owned());
    }
    let shown = format!(
        "# {what}\n$ fleetwright {} -> {}\n{}\n",
        command.join(" "),
        ran.status.unwrap_or(-1),
        clean(&bed, &*cloud, &ran),
    );
    let wrong = format!("{}\n{shown}", faults.join(", "));
    (shown, Some(wrong).filter(|_| !faults.is_empty()))
}

/// Makes every mistake on one cloud and shows how each is told. Most of the time is waiting, so
/// several are made at once.
fn told(kind: &str) -> String {
    let (mut shown, mut wrong) = (String::new(), String::new());
    for some in MISTAKES.chunks(AT_ONCE) {
        let made: Vec<_> = std::thread::scope(|scope| {
            let running: Vec<_> = some
                .iter()
                .map(|mistake| scope.spawn(|| make(kind, *mistake)))
                .collect();
            let joined = running.into_iter().map(std::thread::ScopedJoinHandle::join);
            joined.map(|one| one.expect("it does not panic")).collect()
        });
        for (text, fault) in made {
            shown += &text;
            wrong += &fault.unwrap_or_default();
        }
    }
    assert!(wrong.is_empty(), "{kind}:\n{wrong}");
    shown
}

/// The errors and hints on stderr, without what differs from one run to the next.
fn clean(bed: &Bed, cloud: &dyn Cloud, ran: &Ran) -> String {
    let directory = bed.path("").display().to_string();
    let text = ran.stderr.replace(&directory, "");
    let text = text.replace(&cloud.server().url(), "[cloud]");
    let word = |word: &str| {
        if word.contains("127.0.0.1:") {
            "[address]".to_owned()
        } else if word.starts_with("20") && word.contains('Z') {
            "[time]".to_owned()
        } else {
            word.to_owned()
        }
    };
    let starts = ["error: ", "hint: ", "  cause: ", " --> "];
    text.lines()
        .filter(|line| starts.iter().any(|start| line.starts_with(start)))
        .map(|line| line.split(' ').map(word).collect::<Vec<_>>().join(" ") + "\n")
        .collect()
}

#[test]
fn mistakes_on_digitalocean_are_told_with_the_way_out() {
    insta::assert_snapshot!(told("digitalocean"));
}

#[test]
fn mistakes_on_hetzner_are_told_with_the_way_out() {
    insta::assert_snapshot!(told("hetzner"));
}

#[test]
fn mistakes_on_lambda_are_told_with_the_way_out() {
    insta::assert_snapshot!(told("lambda"));
}

#[test]
fn mistakes_on_linode_are_told_with_the_way_out() {
    insta::assert_snapshot!(told("linode"));
}

#[test]
fn mistakes_on_scaleway_are_told_with_the_way_out() {
    insta::assert_snapshot!(told("scaleway"));
}
