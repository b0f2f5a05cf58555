//! Claims: written before a call, closed after it.
//!
//! The row of an attempt holds the whole claim as JSON; the other columns are copies for queries.

use std::path::Path;

use fleetwright_core::{
    Claim, ClaimId, ClaimState, Error, Event, Kind, NodeRecord, Result, Token, Turn,
};
use jiff::Timestamp;
use sqlx::any::AnyRow;

use crate::Store;
use crate::error::{from_json, to_json};
use crate::lease::Lease;
use crate::transaction::{Query, Transaction, column};

impl Store {
    /// Writes a new claim, with the events that tell of it. It is on disk before this returns, so
    /// the call that it announces can be made.
    ///
    /// # Errors
    /// `Conflict` if the lease was lost, or if this attempt or its token is known already;
    /// `Invalid` if the claim is not open. Nothing is written then.
    pub async fn open_claim(&self, lease: &Lease, claim: &Claim, events: &[Event]) -> Result<()> {
        self.open_claim_in_turn(lease, claim, None, events).await
    }

    /// As [`open_claim`](Self::open_claim), and in the same transaction takes a turn of the claim's
    /// pool for its machines, if there is one to take.
    ///
    /// # Errors
    /// As `open_claim`; no turn is taken then.
    pub async fn open_claim_in_turn(
        &self,
        lease: &Lease,
        claim: &Claim,
        turn: Option<&Turn>,
        events: &[Event],
    ) -> Result<()> {
        if !claim.is_open() {
            return Err(Error::new(
                Kind::Invalid,
                format!(
                    "claim {}/{} is closed before it begins",
                    claim.id, claim.attempt
                ),
            ));
        }
        let json = to_json(claim)?;
        let mut transaction = self.durable().await?;
        transaction.guard(lease).await?;
        let written = transaction
            .run(
                sqlx::query(
                    "INSERT INTO claims \
                     (id, attempt, token, pool, provider, region, state, made_at, value, decision) \
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING",
                )
                .bind(claim.id.to_string())
                .bind(i64::from(claim.attempt))
                .bind(claim.token().as_str())
                .bind(claim.pool.as_str())
                .bind(claim.provider())
                .bind(claim.region())
                .bind(state_name(&claim.state))
                .bind(claim.made_at.as_microsecond())
                .bind(json)
                .bind(claim.decision.map(|id| id.to_string())),
            )
            .await?;
        if written == 0 {
            return Err(Error::new(
                Kind::Conflict,
                format!(
                    "claim {}/{} or its token `{}` is in the journal already",
                    claim.id,
                    claim.attempt,
                    claim.token()
                ),
            ));
        }
        if let Some(turn) = turn {
            transaction
                .take_turn(&claim.pool, turn, claim.request.count)
                .await?;
        }
        transaction.append(events).await?;
        transaction.commit().await
    }

    /// Notes that the request is about to be sent, once more. On disk before this returns: after
    /// the noted instant the request was certainly not sent, unless a later note follows.
    ///
    /// # Errors
    /// `Conflict` if the lease was lost or the attempt is closed; `NotFound` if there is none.
    pub async fn mark_sent(
        &self,
        lease: &Lease,
        id: ClaimId,
        attempt: u32,
        at: Timestamp,
    ) -> Result<()> {
        let mut transaction = self.durable().await?;
        transaction.guard(lease).await?;
        let mut claim = transaction.open_attempt(id, attempt).await?;
        claim.sent_at = at;
        transaction.rewrite(&claim).await?;
        transaction.commit().await
    }

    /// Closes an attempt: its outcome, the nodes that came of it and the events that tell of it,
    /// all or nothing.
    ///
    /// # Errors
    /// `Conflict` if the lease was lost or the attempt is closed already; `NotFound` if there is
    /// none; `Invalid` if `state` is open. Nothing is written then.
    #[expect(
        clippy::too_many_arguments,
        reason = "one transaction needs all of it, and no two belong together elsewhere"
    )]
    pub async fn close_claim(
        &self,
        lease: &Lease,
        id: ClaimId,
        attempt: u32,
        state: &ClaimState,
        at: Timestamp,
        records: &[NodeRecord],
        events: &[Event],
    ) -> Result<()> {
        if matches!(state, ClaimState::Open) {
            return Err(Error::new(
                Kind::Invalid,
                format!("claim {id}/{attempt} cannot be closed as open"),
            ));
        }
        let mut transaction = self.durable().await?;
        transaction.guard(lease).await?;
        let mut claim = transaction.open_attempt(id, attempt).await?;
        claim.state = state.clone();
        claim.closed_at = Some(at);
        transaction.rewrite(&claim).await?;
        transaction.upsert(records).await?;
        transaction.append(events).await?;
        transaction.commit().await
    }

    /// The claims that nobody knows the outcome of, oldest first.
    pub async fn open_claims(&self) -> Result<Vec<Claim>> {
        self.read_claims(sqlx::query(
            "SELECT value FROM claims WHERE state = 'open' ORDER BY made_at, id, attempt",
        ))
        .await
    }

    /// All attempts of a claim, in order; none if there is no such claim.
    pub async fn claim(&self, id: ClaimId) -> Result<Vec<Claim>> {
        self.read_claims(
            sqlx::query("SELECT value FROM claims WHERE id = $1 ORDER BY attempt")
                .bind(id.to_string()),
        )
        .await
    }

    /// The attempt that a token belongs to.
    pub async fn claim_by_token(&self, token: &Token) -> Result<Option<Claim>> {
        let found = self
            .read_claims(
                sqlx::query("SELECT value FROM claims WHERE token = $1").bind(token.as_str()),
            )
            .await?;
        Ok(found.into_iter().next())
    }

    /// The latest attempts of all claims, newest first.
    pub async fn claims(&self, limit: u32) -> Result<Vec<Claim>> {
        self.read_claims(
            sqlx::query(
                "SELECT value FROM claims ORDER BY made_at DESC, id DESC, attempt DESC LIMIT $1",
            )
            .bind(i64::from(limit)),
        )
        .await
    }

    async fn read_claims(&self, query: Query<'_>) -> Result<Vec<Claim>> {
        let rows = self.rows(query).await?;
        rows.iter().map(|row| read(self.path(), row)).collect()
    }
}

impl Transaction<'_> {
    async fn open_attempt(&mut self, id: ClaimId, attempt: u32) -> Result<Claim> {
        let row = self
            .row(
                sqlx::query("SELECT value FROM claims WHERE id = $1 AND attempt = $2")
                    .bind(id.to_string())
                    .bind(i64::from(attempt)),
            )
            .await?
            .ok_or_else(|| {
                Error::new(
                    Kind::NotFound,
                    format!("claim {id}/{attempt} is not in the journal"),
                )
            })?;
        let claim = read(self.path(), &row)?;
        if claim.is_open() {
            return Ok(claim);
        }
        Err(Error::new(
            Kind::Conflict,
            format!(
                "claim {id}/{attempt} is closed already: {}",
                state_name(&claim.state)
            ),
        ))
    }

    async fn rewrite(&mut self, claim: &Claim) -> Result<()> {
        self.run(
            sqlx::query("UPDATE claims SET state = $1, value = $2 WHERE id = $3 AND attempt = $4")
                .bind(state_name(&claim.state))
                .bind(to_json(claim)?)
                .bind(claim.id.to_string())
                .bind(i64::from(claim.attempt)),
        )
        .await
        .map(|_| ())
    }
}

fn read(path: &Path, row: &AnyRow) -> Result<Claim> {
    from_json(path, "claim", column(path, row, 0)?)
}

/// The name of a state in its column, the same as in JSON.
const fn state_name(state: &ClaimState) -> &'static str {
    match state {
        ClaimState::Open => "open",
        ClaimState::Fulfilled { .. } => "fulfilled",
        ClaimState::Refused { .. } => "refused",
    }
}
