//! Capacity marks: offers that are taken for sold out for a while, by all processes, and what was
//! learned about how long that lasts ([`Lifetime`]).
//!
//! ```text
//!            refused                      end                    forgotten
//!  no mark ────────► in force ──────────► half-open ─────────────► no mark
//!     ▲                 ▲  given            │  │ one request finds out
//!     │                 └──refused──────────┘  │
//!     └──────────────────────────────── given ─┘
//! ```

mod rows;

use std::time::Duration;

use fleetwright_core::{ErrorReport, Market, Offer, Result};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use self::rows::{
    Key, bind, covering, find, learn, lifetime, of_provider, put, read, read_learned, remove,
};
use crate::Store;
use crate::lifetime::Lifetime;

/// A set of offers that is taken for sold out until an instant. An absent part means "any".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The provider's name in the configuration.
    pub provider: String,
    /// Region.
    pub region: Option<String>,
    /// Zone.
    pub zone: Option<String>,
    /// Instance type.
    pub instance_type: Option<String>,
    /// On-demand or spot.
    pub market: Option<Market>,
    /// Until when it is in force.
    pub until: Timestamp,
    /// The answer that it comes from.
    pub error: ErrorReport,
}

/// A shortage: a mark with its history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shortage {
    /// The mark. Its `until` is when the next request may find out whether it is over.
    pub mark: Mark,
    /// When the cloud first refused.
    pub since: Timestamp,
    /// When it last did.
    pub refused_at: Timestamp,
    /// Until when a request is finding out whether it is over; in the past if none is.
    pub probe_until: Timestamp,
    /// How long shortages here are believed to last.
    pub lifetime: Lifetime,
}

/// How long shortages of some offers last. An absent part means "any".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Learned {
    /// The provider's name in the configuration.
    pub provider: String,
    /// Region.
    pub region: Option<String>,
    /// Zone.
    pub zone: Option<String>,
    /// Instance type.
    pub instance_type: Option<String>,
    /// On-demand or spot.
    pub market: Option<Market>,
    /// What was learned.
    pub lifetime: Lifetime,
    /// When something was last learned.
    pub learned_at: Timestamp,
}

/// Whether an offer may be asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admission {
    /// Nothing speaks against it.
    Free,
    /// Its mark is over, and this request is the one that finds out whether the shortage is.
    Probe,
    /// It is taken for sold out, or another request is finding out.
    Held(Box<Mark>),
}

// === impl Mark ===

impl Mark {
    /// Whether an offer is among those that are marked. Time is not looked at.
    ///
    /// A mark on a zone does not cover an offer that leaves the zone to the provider.
    pub fn covers(&self, offer: &Offer) -> bool {
        fn any_or_same(mark: Option<&String>, offer: Option<&String>) -> bool {
            mark.is_none() || mark == offer
        }
        self.provider == offer.provider
            && any_or_same(self.region.as_ref(), Some(&offer.region))
            && any_or_same(self.zone.as_ref(), offer.zone.as_ref())
            && any_or_same(self.instance_type.as_ref(), Some(&offer.instance_type))
            && self.market.is_none_or(|market| market == offer.market)
    }

    fn key(&self) -> Key<'_> {
        Key {
            provider: &self.provider,
            region: self.region.as_deref().unwrap_or(""),
            zone: self.zone.as_deref().unwrap_or(""),
            instance_type: self.instance_type.as_deref().unwrap_or(""),
            market: self.market.map_or("", Market::as_str),
        }
    }
}

// === impl Learned ===

impl Learned {
    fn key(&self) -> Key<'_> {
        Key {
            provider: &self.provider,
            region: self.region.as_deref().unwrap_or(""),
            zone: self.zone.as_deref().unwrap_or(""),
            instance_type: self.instance_type.as_deref().unwrap_or(""),
            market: self.market.map_or("", Market::as_str),
        }
    }
}

// === impl Shortage ===

impl Shortage {
    /// Whether it is still believed in: until its mark has been over for as long as the shortage
    /// had lasted by then, and at least for [`Lifetime::START`]. What happens later says nothing
    /// about it.
    pub fn is_believed(&self, now: Timestamp) -> bool {
        let lasted = between(self.since, self.mark.until);
        now <= after(self.mark.until, lasted.max(Lifetime::START))
    }

    /// Whether a request is finding out whether it is over.
    pub fn is_probed(&self, now: Timestamp) -> bool {
        self.probe_until > now
    }

    /// The mark, if nobody shall ask now.
    fn in_force(self, now: Timestamp) -> Option<Mark> {
        let until = self.mark.until.max(self.probe_until);
        (until > now).then_some(Mark { until, ..self.mark })
    }
}

impl Store {
    /// Writes a mark whose end is known. Of two marks on the same offers the one that lasts longer
    /// stays.
    pub async fn put_mark(&self, mark: &Mark) -> Result<()> {
        let shortage = Shortage {
            mark: mark.clone(),
            since: mark.until,
            refused_at: mark.until,
            probe_until: Timestamp::UNIX_EPOCH,
            lifetime: Lifetime::default(),
        };
        let mut transaction = self.loose().await?;
        let found = find(&mut transaction, &mark.key()).await?;
        if found.is_none_or(|found| found.mark.until <= mark.until) {
            put(&mut transaction, &shortage).await?;
        }
        transaction.commit().await
    }

    /// Remembers that the cloud has just refused what a mark names, and says until when it is left
    /// alone because of that. The mark's own end is not looked at; it follows from what was learned
    /// (see [`Lifetime`]), and no mark that is in force is shortened.
    pub async fn remember_refusal(&self, mark: &Mark, now: Timestamp) -> Result<Shortage> {
        let mut transaction = self.loose().await?;
        let key = mark.key();
        let believed = find(&mut transaction, &key)
            .await?
            .filter(|found| found.is_believed(now));
        let shortage = if let Some(found) = believed {
            let lasted = between(found.since, now);
            // Refusals side by side are one observation: only the first finds the mark over.
            let learned = if found.mark.until > now {
                lifetime(&mut transaction, &key).await?
            } else {
                learn(&mut transaction, &key, now, |l| l.refused_again(lasted)).await?
            };
            let until = after(now, Lifetime::next_mark(lasted));
            Shortage {
                mark: Mark {
                    until: until.max(found.mark.until),
                    ..mark.clone()
                },
                since: found.since,
                refused_at: now,
                probe_until: Timestamp::UNIX_EPOCH,
                lifetime: learned,
            }
        } else {
            let lifetime = lifetime(&mut transaction, &key).await?;
            Shortage {
                mark: Mark {
                    until: after(now, lifetime.first_mark()),
                    ..mark.clone()
                },
                since: now,
                refused_at: now,
                probe_until: Timestamp::UNIX_EPOCH,
                lifetime,
            }
        };
        put(&mut transaction, &shortage).await?;
        transaction.commit().await?;
        Ok(shortage)
    }

    /// Remembers that the cloud has given a machine for an offer, by a request that was sent at
    /// `sent_at`: its marks are lifted, and how long the shortage lasted is learned. Without a mark
    /// nothing is written. A request that was under way when the cloud refused another one proves
    /// nothing, and changes nothing.
    pub async fn remember_success(
        &self,
        offer: &Offer,
        sent_at: Timestamp,
        now: Timestamp,
    ) -> Result<Vec<Mark>> {
        let sent_at = sent_at.as_microsecond();
        let lifted = |shortage: &Shortage| {
            shortage.mark.covers(offer) && sent_at > shortage.refused_at.as_microsecond()
        };
        if !self.shortages_of(offer).await?.iter().any(lifted) {
            return Ok(Vec::new());
        }
        let mut transaction = self.loose().await?;
        let rows = transaction.rows(of_provider(&offer.provider)).await?;
        let mut marks = Vec::new();
        for row in &rows {
            let shortage = read(self.path(), row)?;
            if !lifted(&shortage) {
                continue;
            }
            let key = shortage.mark.key();
            if shortage.is_believed(now) {
                let last = between(shortage.since, shortage.refused_at);
                let found = between(shortage.since, now);
                learn(&mut transaction, &key, now, |l| l.given_again(last, found)).await?;
            }
            remove(&mut transaction, &key).await?;
            marks.push(shortage.mark);
        }
        transaction.commit().await?;
        Ok(marks)
    }

    /// Asks whether an offer may be asked for. Once a mark is over, one request over all processes
    /// is let through; the others are held back until it has told how it ended, at most for `probe`.
    /// Without a mark that covers the offer nothing is written.
    pub async fn admit(&self, offer: &Offer, now: Timestamp, probe: Duration) -> Result<Admission> {
        let shortages = self.shortages_of(offer).await?;
        match judge(shortages, now) {
            Judgment::Free => return Ok(Admission::Free),
            Judgment::Held(mark) => return Ok(Admission::Held(mark)),
            Judgment::HalfOpen(_) => {}
        }
        let mut transaction = self.loose().await?;
        let rows = transaction.rows(of_provider(&offer.provider)).await?;
        let shortages = covering(self.path(), &rows, offer)?;
        let half_open = match judge(shortages, now) {
            Judgment::Free => return Ok(Admission::Free),
            Judgment::Held(mark) => return Ok(Admission::Held(mark)),
            Judgment::HalfOpen(shortages) => shortages,
        };
        for mut shortage in half_open {
            shortage.probe_until = after(now, probe);
            put(&mut transaction, &shortage).await?;
        }
        transaction.commit().await?;
        Ok(Admission::Probe)
    }

    /// The marks that are in force, in the order of their places; those included whose end is
    /// being found out about.
    pub async fn marks(&self, now: Timestamp) -> Result<Vec<Mark>> {
        let micros = now.as_microsecond();
        let rows = self
            .rows(
                sqlx::query(
                    "SELECT value, ends_at, since, refused_at, probe_until FROM marks \
                     WHERE ends_at > $1 OR probe_until > $2 \
                     ORDER BY provider, region, zone, instance_type, market",
                )
                .bind(micros)
                .bind(micros),
            )
            .await?;
        let marks: Result<Vec<Option<Mark>>> = rows
            .iter()
            .map(|row| Ok(read(self.path(), row)?.in_force(now)))
            .collect();
        Ok(marks?.into_iter().flatten().collect())
    }

    /// All shortages that are believed in, in the order of their places, each with what is known of
    /// how long it lasts.
    pub async fn shortages(&self, now: Timestamp) -> Result<Vec<Shortage>> {
        let rows = self
            .rows(sqlx::query(
                "SELECT value, ends_at, since, refused_at, probe_until FROM marks \
                 ORDER BY provider, region, zone, instance_type, market",
            ))
            .await?;
        let learned = self.learned().await?;
        let mut all = Vec::new();
        for row in &rows {
            let mut shortage = read(self.path(), row)?;
            if !shortage.is_believed(now) && !shortage.is_probed(now) {
                continue;
            }
            let (key, coarse) = (shortage.mark.key(), shortage.mark.key().coarse());
            let known = |wanted: &Key<'_>| {
                let of = learned.iter().find(|one| one.key() == *wanted);
                of.map(|one| one.lifetime)
            };
            shortage.lifetime = known(&key).or_else(|| known(&coarse)).unwrap_or_default();
            all.push(shortage);
        }
        Ok(all)
    }

    /// Everything that was learned of how long shortages last, in the order of the places.
    pub async fn learned(&self) -> Result<Vec<Learned>> {
        let rows = self
            .rows(sqlx::query(
                "SELECT provider, region, zone, instance_type, market, millis, observed, learned_at \
                 FROM lifetimes ORDER BY provider, region, zone, instance_type, market",
            ))
            .await?;
        rows.iter()
            .map(|row| read_learned(self.path(), row))
            .collect()
    }

    /// The marks that have run out since an instant: what was sold out lately.
    pub async fn spent_marks(&self, since: Timestamp, now: Timestamp) -> Result<Vec<Mark>> {
        let rows = self
            .rows(
                sqlx::query(
                    "SELECT value, ends_at, since, refused_at, probe_until FROM marks \
                     WHERE ends_at > $1 AND ends_at <= $2 \
                     ORDER BY provider, region, zone, instance_type, market",
                )
                .bind(since.as_microsecond())
                .bind(now.as_microsecond()),
            )
            .await?;
        rows.iter()
            .map(|row| Ok(read(self.path(), row)?.mark))
            .collect()
    }

    /// Ends the mark that covers exactly this offer's zone, type and market, if there is one: the
    /// cloud has just said that it has capacity there. Whether that is true is left to the next
    /// request to find out.
    pub async fn end_mark(&self, offer: &Offer, now: Timestamp) -> Result<()> {
        let micros = now.as_microsecond();
        let is_there =
            |shortage: &Shortage| shortage.mark.zone == offer.zone && shortage.mark.until > now;
        if !self.shortages_of(offer).await?.iter().any(is_there) {
            return Ok(());
        }
        let mut transaction = self.loose().await?;
        transaction
            .run(
                sqlx::query(
                    "UPDATE marks SET ends_at = $1, probe_until = 0 \
                     WHERE provider = $2 AND region = $3 AND zone = $4 \
                     AND instance_type = $5 AND market = $6 AND ends_at > $7",
                )
                .bind(micros)
                .bind(offer.provider.as_str())
                .bind(offer.region.as_str())
                .bind(offer.zone.as_deref().unwrap_or(""))
                .bind(offer.instance_type.as_str())
                .bind(offer.market.as_str())
                .bind(micros),
            )
            .await?;
        transaction.commit().await
    }

    /// Forgets the marks that `selects` picks; says how many that were, spent ones included.
    pub async fn clear_marks(&self, selects: &(dyn Fn(&Mark) -> bool + Sync)) -> Result<u64> {
        let mut transaction = self.loose().await?;
        let rows = transaction
            .rows(sqlx::query(
                "SELECT value, ends_at, since, refused_at, probe_until FROM marks",
            ))
            .await?;
        let mut cleared = 0;
        for row in &rows {
            let mark = read(self.path(), row)?.mark;
            if selects(&mark) {
                cleared += remove(&mut transaction, &mark.key()).await?;
            }
        }
        transaction.commit().await?;
        Ok(cleared)
    }

    /// Forgets what was learned of how long shortages last, where `selects` picks it; says how many
    /// places that were.
    pub async fn forget_lifetimes(
        &self,
        selects: &(dyn Fn(&Learned) -> bool + Sync),
    ) -> Result<u64> {
        let learned = self.learned().await?;
        let mut transaction = self.loose().await?;
        let mut forgotten = 0;
        for one in learned.iter().filter(|one| selects(one)) {
            forgotten += transaction
                .run(bind(
                    "DELETE FROM lifetimes WHERE provider = $1 AND region = $2 \
                     AND zone = $3 AND instance_type = $4 AND market = $5",
                    &one.key(),
                ))
                .await?;
        }
        transaction.commit().await?;
        Ok(forgotten)
    }

    /// The shortages whose marks cover an offer.
    async fn shortages_of(&self, offer: &Offer) -> Result<Vec<Shortage>> {
        let rows = self.rows(of_provider(&offer.provider)).await?;
        covering(self.path(), &rows, offer)
    }
}

/// What the marks on an offer say.
enum Judgment {
    Free,
    HalfOpen(Vec<Shortage>),
    Held(Box<Mark>),
}

fn judge(shortages: Vec<Shortage>, now: Timestamp) -> Judgment {
    let mut half_open = Vec::new();
    for shortage in shortages {
        if let Some(mark) = shortage.clone().in_force(now) {
            return Judgment::Held(Box::new(mark));
        }
        if shortage.is_believed(now) {
            half_open.push(shortage);
        }
    }
    if half_open.is_empty() {
        Judgment::Free
    } else {
        Judgment::HalfOpen(half_open)
    }
}

/// How long it is from one instant to a later one; nothing if the clock was set back.
fn between(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or_default()
}

/// An instant after another, within what can be written down.
fn after(start: Timestamp, duration: Duration) -> Timestamp {
    start.checked_add(duration).unwrap_or(Timestamp::MAX)
}
