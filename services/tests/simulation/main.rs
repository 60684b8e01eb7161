//! The state machine of the network interface service in a simulated world: hosts with NICs and
//! agents, VMs of two tenants with the same addresses, streams with latency, and everything that
//! goes wrong with them. Time and chance come from one seed: `SEED=… cargo test simulation` plays
//! a failure again.
//!
//! ```text
//!   world.rs      time, streams, faults, and the checks
//!   nic.rs        a NIC and its agent: flow table, version registers, punts
//!   networks.rs   the configuration as a function of a few numbers, and what it allows
//! ```

mod networks;
mod nic;
mod world;

use world::{Faults, World};

/// R1.2, R1.3, R1.5: whatever is lost, late, gone or changed: no packet twice, none forbidden, none
/// to a stranger, punted packets of a flow in order, one answer to each punt; and when the
/// trouble is over everything that is allowed passes.
#[test]
fn nothing_forbidden_nothing_twice_everything_answered() {
    let seeds = match std::env::var("SEED") {
        Ok(seed) => vec![seed.parse().expect("SEED is a number")],
        Err(_) => (0..150).collect::<Vec<u64>>(),
    };
    let mut total = world::Totals::default();
    for seed in seeds {
        let run = || World::new(seed, Faults::ALL).run();
        match std::panic::catch_unwind(run) {
            Ok(totals) => total.add(&totals),
            Err(panic) => {
                eprintln!("failed with SEED={seed}");
                std::panic::resume_unwind(panic);
            }
        }
    }
    println!("{total:?}");
    if std::env::var("SEED").is_err() {
        // The world is hard enough: all of this has really happened.
        assert!(total.delivered_by_service > 5_000, "{total:?}");
        assert!(total.delivered_by_nics > 5_000, "{total:?}");
        assert!(total.stale > 500 && total.dropped > 5_000, "{total:?}");
        assert!(
            total.restarts > 20 && total.left > 200 && total.changes > 200,
            "{total:?}"
        );
        assert!(
            total.failed_deliveries > 200 && total.replies_restored > 50,
            "{total:?}"
        );
    }
}

/// R1.2: without faults nothing is lost, and each flow costs the service only its first packets.
#[test]
fn without_faults_nothing_is_lost() {
    for seed in 0..20 {
        let totals = World::new(seed, Faults::NONE).run();
        assert_eq!(totals.lost, 0, "SEED={seed}: {totals:?}");
        assert!(
            totals.delivered_by_nics > totals.delivered_by_service,
            "SEED={seed}: {totals:?}"
        );
    }
}
