//! The read model of requests, as `kit-request` asks it.

use kit_event::{RequestId, Timestamp, UnitId, UnitSeq};
use kit_request::ports::{
    Admission, Asking, Later, OfPatient, Overdue, RequestBook, RequestQuery, Words,
};
use kit_request::tracked::{Entry, Spoken};
use kit_store::{Fresh, Page, StoreError};
use requests::RequestOutcome;
use requests_store::{RequestFilter, RequestRow};
use sqlx::PgPool;

/// The book in Postgres.
pub struct PgBook(pub PgPool);

impl RequestBook for PgBook {
    fn admit<'a>(
        &'a self,
        asking: Asking<'a>,
        now: Timestamp,
    ) -> Later<'a, Result<Admission, StoreError>> {
        Box::pin(async move {
            let Asking { id, actor, unseen, unseen_own, open_max } = asking;
            let asking = requests_store::Asking { id, actor, unseen, unseen_own, open_max };
            let admission = requests_store::admit(&self.0, asking, now).await?;
            let (open, open_own) = (admission.open, admission.open_own);
            Ok(Admission { known: admission.known.map(entry), open, open_own })
        })
    }

    fn request<'a>(&'a self, id: &'a RequestId) -> Later<'a, Result<Option<Entry>, StoreError>> {
        Box::pin(async move { Ok(requests_store::request(&self.0, id).await?.map(entry)) })
    }

    fn requests<'a>(
        &'a self,
        unit: &'a UnitId,
        query: &'a RequestQuery,
        now: Timestamp,
    ) -> Later<'a, Result<Fresh<Page<Entry>>, StoreError>> {
        Box::pin(async move {
            let filter = RequestFilter {
                state: query.state.clone(),
                applied: query
                    .applied
                    .clone()
                    .map(|at| requests_store::Applied { log: at.log, next: at.next }),
                actor_or_patient: query.own.clone(),
            };
            let after = query.after.as_deref();
            let found =
                requests_store::requests(&self.0, unit, &filter, now, after, query.limit).await?;
            let Page { items, next } = found.value;
            let items = items.into_iter().map(entry).collect();
            Ok(Fresh { freshness: found.freshness, value: Page { items, next } })
        })
    }

    fn words_of_patient<'a>(
        &'a self,
        unit: &'a UnitId,
        whose: OfPatient<'a>,
        after: UnitSeq,
    ) -> Later<'a, Result<Words, StoreError>> {
        Box::pin(async move {
            let OfPatient { patient, actor, cluster } = whose;
            let found =
                requests_store::words_of_patient(&self.0, unit, patient, actor, cluster, after);
            let requests_store::Words { upto, of } = found.await?;
            Ok(Words { upto, of })
        })
    }

    fn overdue_between<'a>(
        &'a self,
        units: &'a [UnitId],
        (from, upto): (Timestamp, Timestamp),
        limit: u32,
    ) -> Later<'a, Result<Vec<Overdue>, StoreError>> {
        Box::pin(async move {
            let found = requests_store::overdue_between(&self.0, units, from, upto, limit).await?;
            let overdue = |it: requests_store::Overdue| Overdue {
                request_id: it.request_id,
                patient: it.patient_id,
                expires_at: it.expires_at,
            };
            Ok(found.into_iter().map(overdue).collect())
        })
    }
}

/// A row of the book, as the gateway shows it.
fn entry(row: RequestRow) -> Entry {
    let word = row.word().map(|state| Spoken {
        state,
        unit_seq: row.seq,
        record_seq: None,
        outcome: Some(RequestOutcome {
            request_id: row.request_id.clone(),
            type_name: row.type_name.clone(),
            command_hash: row.command_hash.clone(),
            state: row.state.clone(),
            reason: row.reason,
            title: row.title,
            detail: row.detail,
            record_thing: row.record_thing,
            record_id: row.record_id,
            record_json: row.record_json,
            patient_id: row.patient_id,
            accepted_at: row.accepted_at,
            expires_at: row.expires_at,
            delivery: row.delivery.clone(),
            actor: row.actor.clone(),
            decided_at: row.decided_at,
            position: row.position,
        }),
    });
    Entry {
        id: row.request_id,
        type_name: row.type_name,
        command_hash: row.command_hash,
        accepted_at: row.accepted_at,
        expires_at: row.expires_at,
        delivery: row.delivery,
        actor: row.actor,
        patient_id: row.patient_id,
        place: row.log.zip(row.position),
        word,
    }
}
