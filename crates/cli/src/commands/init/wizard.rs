//! The questions, in an order in which each answer narrows the next: provider, credentials, region,
//! market, type, image, number, SSH, limits. Only what can be had together is offered.

use std::path::{Path, PathBuf};
use std::time::Duration;

use fleetwright::draft::{Draft, DraftPool, Field, FieldValue, needs};
use fleetwright::providers::{KINDS, ProviderKind};
use fleetwright::{Assortment, SessionOptions};
use fleetwright_core::ability::Offering;
use fleetwright_core::{
    Availability, Billing, Candidate, Error, HourlyPrice, Kind, Market, Provider, Requirements,
    SecretRef, Span, check_name,
};

use super::ask::{Asker, Choice, Question, Stop};
use crate::args::{Bound, Global, Init, Wish};
use crate::context::Context;
use crate::output::Out;

/// How long a provider may take to say what it sells.
const CATALOG_LIMIT: Duration = Duration::from_secs(20);
/// The name of the file in messages about the text before it is written.
const DRAFT: &str = "the new configuration";

/// What became of the questions.
pub(super) struct Drafted {
    pub(super) text: String,
    /// What the fleet costs per hour, if that is known.
    pub(super) cost: Option<HourlyPrice>,
}

/// What is known about the provider that was chosen.
struct Shop {
    name: &'static str,
    regions: Vec<String>,
    has_ssh: bool,
    billing: Billing,
    /// Absent: nobody can tell what it sells.
    assortment: Option<Assortment>,
}

pub(super) async fn run(
    out: Out,
    global: &Global,
    args: &Init,
    can_ask: bool,
) -> Result<Drafted, Stop> {
    let wish = &args.wish;
    let mut asker = Asker {
        can_ask,
        so_far: String::new(),
    };
    let mut options = Context::session_options()?;
    options.overrides.state_dir.clone_from(&global.state_dir);
    let kind = kind(&asker, wish)?;
    let mut draft = Draft {
        fleet: fleet(global)?,
        kind: kind.kind.to_owned(),
        fields: Vec::new(),
        pool: None,
    };
    let mut region = wish.region.clone();
    credentials(&asker, wish, kind, &mut draft, &mut region)?;
    let shop = shop(out, &options, kind, &draft).await?;
    let mut pool = DraftPool {
        region: place(&asker, wish, &shop, region.as_deref())?,
        zone: wish.zone.clone(),
        ..DraftPool::default()
    };
    what(&asker, wish, &shop, &mut pool)?;
    asker.so_far = so_far(&shop, &pool);
    pool.image = image(&asker, wish, &shop)?;
    pool.count = count(&asker, wish)?;
    asker.so_far = so_far(&shop, &pool);
    pool.ssh_keys = keys(&asker, wish, &shop, &options)?;
    limits(&mut asker, wish, &shop, &mut pool)?;
    pool.name = pool_name(wish, &shop, &pool)?;
    let cost = pool.price.map(|price| price.times(pool.count));
    let told = so_far(&shop, &pool);
    draft.pool = Some(pool);
    let text = draft.text();
    // What is written is what `validate` accepts.
    options.try_text(DRAFT, &text)?;
    if !told.is_empty() {
        out.note(&told);
    }
    asker.confirm(&format!("Write `{}`?", args.file.display()))?;
    Ok(Drafted { text, cost })
}

fn fleet(global: &Global) -> Result<String, Error> {
    let name = global.fleet.clone().unwrap_or_else(|| "default".to_owned());
    check_name("fleet", &name)?;
    Ok(name)
}

/// Which kind of provider: those that are in this program.
fn kind(asker: &Asker, wish: &Wish) -> Result<&'static ProviderKind, Stop> {
    if let Some(given) = &wish.provider
        && let Some(absent) = KINDS.iter().find(|k| k.kind == given && k.code.is_none())
    {
        return Err(Error::new(
            Kind::Config,
            format!("the provider kind `{given}` exists, but this program was built without it"),
        )
        .with_hint(format!("build with `--features {}`", absent.feature))
        .into());
    }
    let choices = KINDS
        .iter()
        .filter(|kind| kind.code.is_some())
        .map(|kind| Choice {
            value: kind.kind.to_owned(),
            label: format!("{:<14} {}", kind.kind, kind.about),
        })
        .collect();
    let question = Question {
        flag: "--provider",
        given: wish.provider.as_deref(),
        prompt: "Where do the machines come from?",
        what: "provider",
    };
    let chosen = asker.choose(&question, choices, None)?;
    KINDS
        .iter()
        .find(|kind| kind.kind == chosen)
        .ok_or_else(|| Error::new(Kind::Unexpected, "the chosen kind is not in the table").into())
}

/// What the provider must be told before it can be asked: secrets by reference, and its region if
/// that is configured by name.
fn credentials(
    asker: &Asker,
    wish: &Wish,
    kind: &ProviderKind,
    draft: &mut Draft,
    region: &mut Option<String>,
) -> Result<(), Stop> {
    let Some(code) = &kind.code else {
        return Ok(());
    };
    let needs = needs(code);
    if wish.credentials.len() > needs.secrets.len() {
        return Err(Error::new(
            Kind::Invalid,
            format!(
                "the provider kind `{}` takes {} by reference",
                kind.kind,
                crate::output::count(needs.secrets.len(), "secret")
            ),
        )
        .with_hint("leave out `--credentials` that it does not take")
        .into());
    }
    for (at, (name, about, default)) in needs.secrets.into_iter().enumerate() {
        let question = Question {
            flag: "--credentials",
            given: wish.credentials.get(at).map(String::as_str),
            prompt: "Where is the secret to be had (`env:NAME`, `file:path`, `command:...`)?",
            what: "reference to a secret",
        };
        let check = |text: &str| text.parse::<SecretRef>().map(drop);
        let value = asker.text(&question, default.as_deref(), check)?;
        draft.fields.push(Field {
            name,
            about,
            value: FieldValue::Text(value),
        });
    }
    if needs.names_regions {
        let question = Question {
            flag: "--region",
            given: region.as_deref(),
            prompt: "Which region?",
            what: "region",
        };
        let named = asker.text(&question, None, not_empty)?;
        draft.fields.push(Field {
            name: "regions".to_owned(),
            about: "The regions to use.".to_owned(),
            value: FieldValue::Texts(vec![named.clone()]),
        });
        *region = Some(named);
    }
    Ok(())
}

fn not_empty(text: &str) -> Result<(), Error> {
    if text.trim().is_empty() {
        return Err(Error::new(Kind::Invalid, "it is empty"));
    }
    Ok(())
}

/// Builds the provider and finds out what it sells: from its configuration, else by asking it.
async fn shop(
    out: Out,
    options: &SessionOptions,
    kind: &ProviderKind,
    draft: &Draft,
) -> Result<Shop, Stop> {
    let (loaded, providers) = options.try_text(DRAFT, &draft.text())?;
    let (Some(provider), Some(entry)) = (
        providers.get(kind.kind),
        loaded.config.providers.get(kind.kind),
    ) else {
        return Err(Error::new(Kind::Unexpected, "the provider was not built").into());
    };
    let info = provider.info();
    let assortment = match entry.config.assortment() {
        Some(known) => Some(known),
        None => match ask_catalog(&**provider).await {
            Ok(found) => Some(found),
            Err(error) => {
                out.note(&format!(
                    "what `{}` sells is not known, so names and prices are not checked: {}",
                    kind.kind,
                    error.report()
                ));
                None
            }
        },
    };
    Ok(Shop {
        name: kind.kind,
        regions: info.regions.clone(),
        has_ssh: info.has_ssh,
        billing: info.billing,
        assortment,
    })
}

async fn ask_catalog(provider: &dyn Provider) -> Result<Assortment, Error> {
    let catalog = provider
        .catalog()
        .ok_or_else(|| Error::new(Kind::Unsupported, "it has no catalog"))?;
    let both = async {
        Ok::<_, Error>(Assortment {
            types: catalog.instance_types().await?,
            offerings: catalog.offerings().await?,
            images: None,
        })
    };
    tokio::time::timeout(CATALOG_LIMIT, both)
        .await
        .map_err(|_| Error::new(Kind::Timeout, "its catalog did not come within 20s"))?
}

fn place(asker: &Asker, wish: &Wish, shop: &Shop, named: Option<&str>) -> Result<String, Stop> {
    let question = Question {
        flag: "--region",
        given: named.or(wish.region.as_deref()),
        prompt: "Which region?",
        what: "region",
    };
    let choices = shop
        .regions
        .iter()
        .map(|name| Choice::plain(name))
        .collect();
    asker.choose(&question, choices, None)
}

/// Market and type, with everything that was given checked against each other.
fn what(asker: &Asker, wish: &Wish, shop: &Shop, pool: &mut DraftPool) -> Result<(), Stop> {
    pool.market = market(asker, wish, shop, &pool.region)?;
    if let Some(assortment) = &shop.assortment {
        let candidate = Candidate {
            provider: shop.name.to_owned(),
            region: Some(pool.region.clone()),
            zone: pool.zone.clone(),
            instance_type: wish.instance_type.clone(),
            market: pool.market,
            ..Candidate::default()
        };
        let none = Requirements::default();
        if let Some(found) = assortment.mismatch(shop.name, &candidate, &none) {
            let error = Error::new(Kind::Invalid, found.message);
            return Err(match found.hint {
                Some(hint) => error.with_hint(hint),
                None => error,
            }
            .into());
        }
    }
    let question = Question {
        flag: "--type",
        given: wish.instance_type.as_deref(),
        prompt: "Which machine?",
        what: "type",
    };
    let Some(assortment) = &shop.assortment else {
        pool.instance_type = asker.text(&question, None, not_empty)?;
        return Ok(());
    };
    let mut sold = assortment.sold(&pool.region, pool.market);
    sold.retain(|offering| {
        pool.zone.is_none() || offering.zone.is_none() || {
            let there = |o: &&Offering| o.zone == pool.zone;
            assortment
                .offerings
                .iter()
                .filter(there)
                .any(|o| o.instance_type == offering.instance_type)
        }
    });
    let choices: Vec<Choice> = sold.iter().map(|one| choice(assortment, one)).collect();
    if choices.is_empty() {
        return Err(Error::new(
            Kind::NotFound,
            format!("nothing is sold in `{}` as `{}`", pool.region, pool.market),
        )
        .with_hint("choose another region or market")
        .into());
    }
    pool.instance_type = asker.choose(&question, choices, None)?;
    pool.price = sold
        .iter()
        .find(|offering| offering.instance_type == pool.instance_type)
        .and_then(|offering| offering.price);
    Ok(())
}

fn market(asker: &Asker, wish: &Wish, shop: &Shop, region: &str) -> Result<Market, Stop> {
    let all = [Market::OnDemand, Market::Spot];
    let sold = |market: &Market| {
        let assortment = shop.assortment.as_ref();
        assortment.is_none_or(|found| !found.sold(region, *market).is_empty())
    };
    let choices = all
        .into_iter()
        .filter(sold)
        .map(|market| Choice {
            value: market.as_str().to_owned(),
            label: match market {
                Market::OnDemand => "on-demand      at the list price, until it is given back",
                Market::Spot => "spot           cheaper, and the cloud may take it back",
            }
            .to_owned(),
        })
        .collect();
    let question = Question {
        flag: "--market",
        given: wish.market.as_deref(),
        prompt: "How are they bought?",
        what: "market",
    };
    let chosen = asker.choose(&question, choices, Some(Market::OnDemand.as_str()))?;
    Ok(if chosen == Market::Spot.as_str() {
        Market::Spot
    } else {
        Market::OnDemand
    })
}

/// A type with its properties and its price.
fn choice(assortment: &Assortment, offering: &Offering) -> Choice {
    let price = offering
        .price
        .map_or_else(|| "price unknown".to_owned(), |price| price.to_string());
    let about = assortment
        .instance_type(&offering.instance_type)
        .map_or_else(String::new, |found| {
            let gpus = match (found.gpus, &found.gpu_model) {
                (0, _) => String::new(),
                (count, model) => {
                    let model = model.as_deref().unwrap_or("GPU");
                    let memory = found
                        .gpu_memory_mib
                        .map_or_else(String::new, |mib| format!(" {} GiB", mib / 1024));
                    format!("{count} x {model}{memory}")
                }
            };
            format!(
                "{:>3} vCPU {:>5} GiB  {gpus:<24}",
                found.vcpus,
                found.memory_mib / 1024
            )
        });
    let availability = match offering.availability {
        Availability::SoldOut { .. } => "  sold out now",
        Availability::NoQuota => "  no quota",
        _ => "",
    };
    Choice {
        value: offering.instance_type.clone(),
        label: format!(
            "{:<16} {about} {price}{availability}",
            offering.instance_type
        ),
    }
}

fn image(asker: &Asker, wish: &Wish, shop: &Shop) -> Result<Option<String>, Stop> {
    if let (Some(image), Some(assortment)) = (&wish.image, &shop.assortment)
        && let Some(found) = assortment.wrong_image(shop.name, image)
    {
        let error = Error::new(Kind::Invalid, found.message);
        return Err(match found.hint {
            Some(hint) => error.with_hint(hint),
            None => error,
        }
        .into());
    }
    let known = shop.assortment.as_ref().and_then(|a| a.images.as_ref());
    if known.is_some_and(Vec::is_empty) {
        return Ok(None);
    }
    let question = Question {
        flag: "--image",
        given: wish.image.as_deref(),
        prompt: "Which image? (empty: the provider's default)",
        what: "image",
    };
    let written = asker.text(&question, Some(""), |_| Ok(()))?;
    let written = written.trim();
    Ok((!written.is_empty()).then(|| written.to_owned()))
}

fn count(asker: &Asker, wish: &Wish) -> Result<u32, Stop> {
    let given = wish.count.map(|count| count.to_string());
    let question = Question {
        flag: "--count",
        given: given.as_deref(),
        prompt: "How many?",
        what: "number",
    };
    let text = asker.text(&question, Some("1"), |text| {
        text.trim().parse::<u32>().map(drop).map_err(|_| {
            Error::new(
                Kind::Invalid,
                format!("`{text}` is not a number of machines"),
            )
        })
    })?;
    text.trim()
        .parse()
        .map_err(|_| Error::new(Kind::Invalid, format!("`{text}` is not a number")).into())
}

/// Public keys that may log in besides the fleet's own.
fn keys(
    asker: &Asker,
    wish: &Wish,
    shop: &Shop,
    options: &SessionOptions,
) -> Result<Vec<String>, Stop> {
    if !wish.ssh_key.is_empty() {
        let read = |path: &PathBuf| read_key(&options.directory.join(path));
        return Ok(wish.ssh_key.iter().map(read).collect::<Result<_, _>>()?);
    }
    let found = options
        .environment
        .home()
        .map_or_else(Vec::new, |home| public_keys(&home.join(".ssh")));
    if !shop.has_ssh || !asker.can_ask || found.is_empty() {
        return Ok(Vec::new());
    }
    let mut choices = vec![Choice {
        value: String::new(),
        label: "only the fleet's own key, which `fleetwright ssh` uses".to_owned(),
    }];
    choices.extend(found.iter().map(|path| Choice {
        value: path.display().to_string(),
        label: format!("also `{}`", path.display()),
    }));
    let question = Question {
        flag: "--ssh-key",
        given: None,
        prompt: "Who may log in?",
        what: "key",
    };
    let chosen = asker.choose(&question, choices, None)?;
    if chosen.is_empty() {
        return Ok(Vec::new());
    }
    Ok(vec![read_key(Path::new(&chosen))?])
}

/// The public keys of a directory, in order.
fn public_keys(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|end| end == "pub"))
        .collect();
    found.sort();
    found
}

fn read_key(path: &Path) -> Result<String, Error> {
    std::fs::read_to_string(path)
        .map(|text| text.trim().to_owned())
        .map_err(|error| {
            Error::new(
                Kind::Config,
                format!("the public key `{}` cannot be read", path.display()),
            )
            .with_source(error)
        })
}

fn limits(asker: &mut Asker, wish: &Wish, shop: &Shop, pool: &mut DraftPool) -> Result<(), Stop> {
    pool.max_runtime = limit(
        asker,
        "--max-runtime",
        wish.max_runtime,
        "How long may a node run at most? (`none`: for ever)",
        "8h",
    )?;
    asker.so_far = so_far(shop, pool);
    pool.extend_to = wish.extend_to.and_then(|bound| bound.0);
    if shop.has_ssh || wish.idle_after.is_some_and(|bound| bound.0.is_some()) {
        pool.idle_after = limit(
            asker,
            "--idle-after",
            wish.idle_after,
            "How long may it be unused? (`none`: for ever)",
            "30m",
        )?;
    }
    Ok(())
}

/// A limit; none if nobody can be asked and nothing was given.
fn limit(
    asker: &Asker,
    flag: &'static str,
    given: Option<Bound>,
    prompt: &'static str,
    proposal: &str,
) -> Result<Option<Span>, Stop> {
    if let Some(bound) = given {
        return Ok(bound.0);
    }
    if !asker.can_ask {
        return Ok(None);
    }
    let question = Question {
        flag,
        given: None,
        prompt,
        what: "duration",
    };
    let text = asker.text(&question, Some(proposal), |text| {
        text.parse::<Bound>().map(drop)
    })?;
    Ok(text.parse::<Bound>()?.0)
}

fn pool_name(wish: &Wish, shop: &Shop, pool: &DraftPool) -> Result<String, Error> {
    let has_gpus = shop
        .assortment
        .as_ref()
        .and_then(|assortment| assortment.instance_type(&pool.instance_type))
        .is_some_and(|found| found.gpus > 0);
    let name = wish
        .pool
        .clone()
        .unwrap_or_else(|| if has_gpus { "gpu" } else { "main" }.to_owned());
    check_name("pool", &name)?;
    Ok(name)
}

/// What the choices so far cost.
fn so_far(shop: &Shop, pool: &DraftPool) -> String {
    let Some(price) = pool.price else {
        return if pool.instance_type.is_empty() {
            String::new()
        } else {
            "the price is not known".to_owned()
        };
    };
    let count = pool.count.max(1);
    let together = price.times(count);
    let mut text = if count == 1 {
        format!("costs {price}")
    } else {
        format!("costs {together}: {count} machines at {price} each")
    };
    if let Some(limit) = pool.max_runtime {
        let most = shop.billing.cost(together, limit.0);
        text = format!("{text}; at most {most} within {limit}");
    }
    text
}
