//! Offers: a stored catalog of 120,000 rows in four simulated clouds, and how fast it is asked.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use fleetwright_core::ability::Offering;
use fleetwright_core::{
    Availability, Clock, Error, HourlyPrice, InstanceType, Kind, Market, Prices, Provider,
    ProviderInfo, Result,
};
use fleetwright_engine::{CatalogPart, OfferQuery, PartInfo, Rates, Shelf, SystemClock, find};
use fleetwright_sim::{SimConfig, SimProvider};
use serde_json::{Value, json};

const CLOUDS: [&str; 4] = ["cloud-a", "cloud-b", "cloud-c", "cloud-d"];
const TYPES: u64 = 500;
const PLACES: u64 = 30;
/// Repetitions of what is timed.
const RUNS: u32 = 200;
/// How many offers are wanted.
const LIMIT: usize = 40;

/// Writes the catalogs into a folder, as `fleetwright offers --refresh` would.
pub(crate) fn fill(folder: &Path) -> Result<Value> {
    let shelf = Shelf::new(folder.to_owned());
    let (mut rows, mut bytes) = (0, 0);
    let started = Instant::now();
    for (number, name) in (0..).zip(CLOUDS) {
        let (types, offerings) = catalog(number);
        let info = PartInfo::new(&info(name, folder)?, SystemClock.now());
        let part = CatalogPart::new(info, types, &offerings);
        shelf.write(&part)?;
        rows += part.len();
        bytes += std::fs::metadata(shelf.path(name)).map_or(0, |file| file.len());
    }
    Ok(json!({
        "rows": rows,
        "bytes": bytes,
        "milliseconds": started.elapsed().as_secs_f64() * 1e3,
    }))
}

/// Times reading and asking, against a plain scan over the same rows.
pub(crate) fn ask(folder: &Path) -> Result<Value> {
    let shelf = Shelf::new(folder.to_owned());
    let infos = CLOUDS.map(|name| info(name, folder));
    let infos: Vec<ProviderInfo> = infos.into_iter().collect::<Result<_>>()?;
    let mut reads = Vec::new();
    let mut parts = Vec::new();
    for _ in 0..20 {
        let started = Instant::now();
        let read: Result<Vec<_>> = infos.iter().map(|info| shelf.read(info)).collect();
        parts = read?.into_iter().flatten().collect();
        reads.push(started.elapsed().as_secs_f64() * 1e3);
    }
    let prices = Prices::default();
    let rates = Rates {
        prices: &prices,
        taken: &[],
    };
    let query = OfferQuery {
        gpu: Some("H100:8".parse()?),
        ..OfferQuery::default()
    };
    let everything = OfferQuery::default();
    let plain = Plain::new();
    let (mut queries, mut all, mut scans) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let started = Instant::now();
        let found = find(&parts, &query, rates, LIMIT);
        queries.push(started.elapsed().as_secs_f64() * 1e3);
        let started = Instant::now();
        let any = find(&parts, &everything, rates, LIMIT);
        all.push(started.elapsed().as_secs_f64() * 1e3);
        let started = Instant::now();
        let scanned = plain.scan();
        scans.push(started.elapsed().as_secs_f64() * 1e3);
        let prices = found.hits.iter().map(|hit| hit.price);
        if any.matching != plain.rows.len()
            || found.matching != scanned.0
            || !prices.eq(scanned.1.iter().map(|offering| offering.price))
        {
            return Err(Error::new(
                Kind::Unexpected,
                "the query and the plain scan do not find the same",
            ));
        }
    }
    Ok(json!({
        "rows": plain.rows.len(),
        "read_milliseconds": reads,
        "query_milliseconds": queries,
        "everything_milliseconds": all,
        "scan_milliseconds": scans,
    }))
}

fn info(name: &str, folder: &Path) -> Result<ProviderInfo> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    // The account of a simulated cloud is its world: where the command looks for it.
    let folder = std::path::absolute(folder)
        .map_err(|e| Error::new(Kind::Config, "the folder cannot be found").with_source(e))?;
    let fleet = folder.parent().unwrap_or(&folder);
    let world = fleet.join("sim").join(format!("{name}.world"));
    let cloud = SimProvider::new(name, SimConfig::default(), world, clock)?;
    Ok(cloud.info().clone())
}

/// The same rows as whole offerings, gone through one by one.
struct Plain {
    types: HashMap<String, InstanceType>,
    rows: Vec<Offering>,
}

impl Plain {
    fn new() -> Self {
        let (mut types, mut rows) = (HashMap::new(), Vec::new());
        for (number, _) in (0..).zip(CLOUDS) {
            let (some, offerings) = catalog(number);
            types.extend(some.into_iter().map(|one| (one.name.clone(), one)));
            rows.extend(offerings);
        }
        Self { types, rows }
    }

    fn scan(&self) -> (usize, Vec<&Offering>) {
        let is_wanted = |offering: &&Offering| {
            self.types.get(&offering.instance_type).is_some_and(|one| {
                one.gpus == 8
                    && one
                        .gpu_model
                        .as_ref()
                        .is_some_and(|model| model.to_lowercase().contains("h100"))
            })
        };
        let mut found: Vec<&Offering> = self.rows.iter().filter(is_wanted).collect();
        found.sort_by_key(|offering| (offering.price.is_none(), offering.price));
        let matching = found.len();
        found.truncate(LIMIT);
        (matching, found)
    }
}

/// The catalog of one cloud: each type in each place on both markets.
fn catalog(number: u64) -> (Vec<InstanceType>, Vec<Offering>) {
    let models = [
        ("NVIDIA H100", 81_920),
        ("NVIDIA A100", 40_960),
        ("NVIDIA L4", 23_034),
        ("NVIDIA L40S", 46_068),
    ];
    let (mut types, mut offerings) = (Vec::new(), Vec::new());
    for at in 0..TYPES {
        // Every tenth type has GPUs.
        let gpu = (at % 10 == 0)
            .then(|| models.get(usize::try_from(at / 10 % 4).ok()?))
            .flatten();
        let gpus = if gpu.is_some() {
            1_u32 << (at / 40 % 4)
        } else {
            0
        };
        let vcpus = 1_u32 << (at % 8);
        let name = format!("c{number}.family-{}.size-{at}", at / 8);
        types.push(InstanceType {
            name: name.clone(),
            vcpus,
            memory_mib: u64::from(vcpus) * 4_096,
            architecture: if at % 3 == 0 { "arm64" } else { "x86_64" }.to_owned(),
            gpus,
            gpu_model: gpu.map(|(model, _)| (*model).to_owned()),
            gpu_memory_mib: gpu.map(|(_, mib)| *mib),
        });
        for place in 0..PLACES {
            let region = format!("region-{}", place / 3);
            for (market, share) in [(Market::OnDemand, 100), (Market::Spot, 35)] {
                // Unlike enough that no two offers cost the same.
                let base = 40_000 * u64::from(vcpus) + 2_000_000 * u64::from(gpus);
                let step = place * 1_009 + at * 7 + number;
                let price = HourlyPrice::usd_micros((base + step) * share);
                offerings.push(Offering {
                    instance_type: name.clone(),
                    region: region.clone(),
                    zone: Some(format!("{region}-{}", place % 3)),
                    market,
                    price: Some(price),
                    availability: Availability::Unknown,
                });
            }
        }
    }
    (types, offerings)
}
