//! A correct cloud passes every case, however it makes a create call exactly once.

mod native_token {
    use fleetwright_core::Idempotency;

    use crate::memory::MemorySubject;

    fleetwright_conformance::suite!(
        subject = MemorySubject::new(Idempotency::NativeToken),
        start_paused = true
    );
}

mod deterministic_name {
    use fleetwright_core::Idempotency;

    use crate::memory::MemorySubject;

    fleetwright_conformance::suite!(
        subject = MemorySubject::new(Idempotency::DeterministicName),
        start_paused = true
    );
}

mod label_then_list {
    use fleetwright_core::Idempotency;

    use crate::memory::MemorySubject;

    fleetwright_conformance::suite!(
        subject = MemorySubject::new(Idempotency::LabelThenList),
        start_paused = true
    );
}
