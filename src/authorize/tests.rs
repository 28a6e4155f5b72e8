//! Every rule of a permit, one by one.

use std::collections::HashMap;

use super::*;
use crate::aep::Kind;
use crate::context::RouteId;
use crate::error::{Error, Reason};

const CRM: CallerId = CallerId(1);
const REPORTS: CallerId = CallerId(2);
const PROD: PlaceId = PlaceId(0);
const DEV: PlaceId = PlaceId(1);
const EU: PlaceId = PlaceId(2);

fn place(sandbox: &str, name: &str) -> Place {
    Place {
        sandbox: sandbox.to_owned(),
        name: name.parse().unwrap(),
        production: name == "prod",
        organization: "o@AdobeOrg".parse().unwrap(),
    }
}

fn bounds(name: &str) -> Bounds {
    Bounds {
        name: name.to_owned(),
        permit: Kinds::ALL,
        places: Places::All,
    }
}

fn allowed(place: PlaceId) -> Allowed {
    let permit = if place == DEV {
        Kinds::ALL
    } else {
        Kinds::READ
    };
    Allowed { place, permit }
}

fn fixed(place: PlaceId) -> Rule {
    Rule {
        callers: Callers::All,
        source: Source::Fixed,
        allow: vec![allowed(place)],
        on_mismatch: OnMismatch::Refuse,
        dry_run: false,
    }
}

fn found(source: Source, places: &[PlaceId]) -> Rule {
    Rule {
        source,
        allow: places.iter().copied().map(allowed).collect(),
        ..fixed(PROD)
    }
}

fn policy_of(rule: Rule, change: impl FnOnce(&mut Settings)) -> Policy {
    let callers = ["anonymous", "crm", "reports"].map(bounds);
    let mut settings = Settings {
        callers: callers.into_iter().collect(),
        places: [
            place("prod", "prod"),
            place("dev-2", "dev-2"),
            place("eu", "prod"),
        ]
        .into_iter()
        .collect(),
        routes: [rule].into_iter().collect(),
    };
    change(&mut settings);
    Policy::new(settings)
}

fn policy(rule: Rule) -> Policy {
    policy_of(rule, |_| {})
}

fn asked(caller: CallerId, kind: Kind) -> Asked<'static> {
    Asked {
        caller,
        route: RouteId(0),
        kind,
        segment: None,
        host: None,
        named: Named::Nothing,
    }
}

/// Returns where a request works, or what its caller is told.
fn decide(policy: &Policy, asked: &Asked<'_>) -> Result<PlaceId, (Reason, String)> {
    let ruling = policy.rule(asked).unwrap();
    let told = |error: Error| (error.reason(), error.detail().to_owned());
    ruling
        .enforced()
        .map_err(|refusal| told(refusal.told(policy, asked)))
}

fn reason(policy: &Policy, asked: &Asked<'_>) -> Option<Reason> {
    decide(policy, asked).err().map(|(reason, _)| reason)
}

#[test]
fn only_permitted_kinds_pass() {
    for permitted in Kind::ALL {
        for (place, refused) in [
            (PROD, Reason::ProductionReadOnly),
            (DEV, Reason::NotGranted),
        ] {
            let permit = [permitted].into_iter().collect();
            let policy = policy(Rule {
                allow: vec![Allowed { place, permit }],
                ..fixed(place)
            });
            for kind in Kind::ALL {
                let decided = reason(&policy, &asked(CRM, kind));
                let expected = (kind != permitted).then_some(refused);
                assert_eq!(
                    decided, expected,
                    "{permitted} permitted, {kind} in {place:?}"
                );
            }
        }
    }
}

#[test]
fn a_kind_has_to_be_permitted_by_the_place_the_route_and_the_caller() {
    for bits in 0..8_u8 {
        let write = |bit: u8| {
            if bits & bit == 0 {
                Kinds::READ
            } else {
                Kinds::ALL
            }
        };
        let rule = Rule {
            allow: vec![Allowed {
                place: DEV,
                permit: write(1),
            }],
            callers: Callers::These(HashMap::from([(
                CRM,
                Grant {
                    permit: write(2),
                    places: Places::All,
                },
            )])),
            ..fixed(DEV)
        };
        let policy = policy_of(rule, |settings| {
            let crm = Bounds {
                permit: write(4),
                ..bounds("crm")
            };
            settings.callers = [bounds("anonymous"), crm].into_iter().collect();
        });

        assert_eq!(reason(&policy, &asked(CRM, Kind::Read)), None);
        let decided = reason(&policy, &asked(CRM, Kind::Write));
        assert_eq!(decided.is_none(), bits == 7, "{bits:03b}");
    }
}

#[test]
fn a_route_is_for_whom_it_says() {
    let of = |callers| {
        policy(Rule {
            callers,
            ..fixed(DEV)
        })
    };
    let these = HashMap::from([(REPORTS, Grant::OPEN)]);
    for (callers, expected) in [
        (Callers::All, [true, true, true]),
        (Callers::Known, [false, true, true]),
        (Callers::These(these), [false, false, true]),
        (Callers::These(HashMap::new()), [false, false, false]),
    ] {
        let policy = of(callers.clone());
        for (caller, expected) in [CallerId::ANONYMOUS, CRM, REPORTS]
            .into_iter()
            .zip(expected)
        {
            let decided = reason(&policy, &asked(caller, Kind::Read));
            let refused = (!expected).then_some(Reason::NotGranted);
            assert_eq!(decided, refused, "{caller:?} {callers:?}");
        }
    }
}

#[test]
fn a_sandbox_is_found_by_what_the_route_says_and_by_nothing_else() {
    let by_header = policy(found(Source::Header(None), &[PROD, DEV]));
    let with_default = policy(found(Source::Header(Some(DEV)), &[PROD, DEV]));
    let by_host = HashMap::from([("dev.internal".to_owned(), DEV), ("eu".to_owned(), EU)]);
    let by_host = policy(found(Source::Host(by_host), &[DEV, EU]));
    let by_caller = HashMap::from([(CRM, PROD), (REPORTS, DEV)]);
    let by_caller = policy(found(Source::Caller(by_caller), &[PROD, DEV]));
    let by_path = policy(found(Source::Path, &[DEV, EU]));
    let read = asked(CRM, Kind::Read);
    let named = |name| Asked {
        named: Named::One(name),
        ..read
    };
    let host = |host| Asked {
        host: Some(host),
        ..read
    };
    let path = |name| Asked {
        segment: Some(name),
        ..read
    };

    for (policy, asked, expected) in [
        (&by_header, named("prod"), Some(PROD)),
        (&by_header, named("dev-2"), Some(DEV)),
        (&by_header, named("eu"), None),
        (&by_header, named("PROD"), None),
        (&by_header, named("prod,dev-2"), None),
        (&by_header, named(""), None),
        (&by_header, read, None),
        (
            &by_header,
            Asked {
                named: Named::Unclear,
                ..read
            },
            None,
        ),
        // Neither a path nor a host names it where the field does.
        (&by_header, path("prod"), None),
        (&by_header, host("dev.internal"), None),
        (&with_default, read, Some(DEV)),
        (&with_default, named("prod"), Some(PROD)),
        (
            &with_default,
            Asked {
                named: Named::Unclear,
                ..read
            },
            None,
        ),
        (&by_host, host("dev.internal"), Some(DEV)),
        (&by_host, host("eu"), Some(EU)),
        (&by_host, host("internal"), None),
        (&by_host, host("dev.internal.evil"), None),
        (&by_host, host("[::1]"), None),
        (&by_host, read, None),
        (&by_host, named("dev-2"), None),
        (&by_caller, read, Some(PROD)),
        (&by_caller, asked(REPORTS, Kind::Read), Some(DEV)),
        (&by_caller, asked(CallerId::ANONYMOUS, Kind::Read), None),
        (&by_path, path("eu"), Some(EU)),
        (&by_path, path("prod"), None),
        (&by_path, path("dev-2/../prod"), None),
        (&by_path, read, None),
    ] {
        let decided = decide(policy, &asked);
        let decided = decided.map_err(|(reason, _)| reason);
        assert_eq!(
            decided,
            expected.ok_or(Reason::SandboxNotAllowed),
            "{asked:?}"
        );
    }
}

#[test]
fn a_sandbox_that_is_named_and_is_not_the_one_is_refused_and_never_replaced() {
    let by_caller = Source::Caller(HashMap::from([(CRM, DEV)]));
    let by_host = Source::Host(HashMap::from([("dev.internal".to_owned(), DEV)]));
    for rule in [
        fixed(DEV),
        found(by_caller, &[PROD, DEV]),
        found(by_host, &[PROD, DEV]),
        found(Source::Path, &[PROD, DEV]),
    ] {
        let lenient = Rule {
            on_mismatch: OnMismatch::Ignore,
            ..rule.clone()
        };
        for (named, agrees) in [
            (Named::Nothing, true),
            (Named::One("dev-2"), true),
            (Named::One("prod"), false),
            (Named::One("nowhere"), false),
            (Named::One("DEV-2"), false),
            (Named::Unclear, false),
        ] {
            let asked = Asked {
                named,
                host: Some("dev.internal"),
                segment: Some("dev-2"),
                ..asked(CRM, Kind::Read)
            };
            let strict = decide(&policy(rule.clone()), &asked);
            assert_eq!(strict.is_ok(), agrees, "{named:?}");
            assert_eq!(decide(&policy(lenient.clone()), &asked), Ok(DEV));
        }
    }
    // Where the field itself decides, the default is not for what is unclear.
    let unclear = Asked {
        named: Named::Unclear,
        ..asked(CRM, Kind::Read)
    };
    let lenient = Rule {
        on_mismatch: OnMismatch::Ignore,
        ..found(Source::Header(Some(DEV)), &[PROD, DEV])
    };
    assert_eq!(
        reason(&policy(lenient), &unclear),
        Some(Reason::SandboxNotAllowed)
    );
    // What Adobe calls a sandbox may be another one's name here.
    let eu = Asked {
        named: Named::One("prod"),
        ..asked(CRM, Kind::Read)
    };
    assert_eq!(
        reason(&policy(fixed(EU)), &eu),
        Some(Reason::SandboxNotAllowed)
    );
}

#[test]
fn a_caller_stays_within_its_sandboxes_and_learns_of_no_other() {
    let rule = Rule {
        callers: Callers::These(HashMap::from([
            (
                CRM,
                Grant {
                    permit: Kinds::ALL,
                    places: Places::These(vec![DEV]),
                },
            ),
            (REPORTS, Grant::OPEN),
        ])),
        ..found(Source::Header(None), &[PROD, DEV, EU])
    };
    let policy = policy_of(rule, |settings| {
        let reports = Bounds {
            places: Places::These(vec![PROD, EU]),
            ..bounds("reports")
        };
        settings.callers = [bounds("anonymous"), bounds("crm"), reports]
            .into_iter()
            .collect();
    });
    let named = |caller, name| Asked {
        named: Named::One(name),
        ..asked(caller, Kind::Read)
    };

    assert_eq!(decide(&policy, &named(CRM, "dev-2")), Ok(DEV));
    assert_eq!(decide(&policy, &named(REPORTS, "eu")), Ok(EU));
    for (caller, names, told) in [
        (CRM, ["prod", "eu", "x"], "the caller may work in dev-2"),
        (
            REPORTS,
            ["dev-2", "y", "x"],
            "the caller may work in eu, prod",
        ),
    ] {
        for name in names {
            let refused = decide(&policy, &named(caller, name)).unwrap_err();
            assert_eq!(
                refused,
                (Reason::SandboxNotAllowed, told.to_owned()),
                "{name}"
            );
        }
    }
    let none = decide(&policy, &asked(CRM, Kind::Read)).unwrap_err();
    assert_eq!(
        none.1,
        "name a sandbox in x-sandbox-name; the caller may work in dev-2"
    );
    let stranger = decide(&policy, &named(CallerId::ANONYMOUS, "prod")).unwrap_err();
    assert_eq!(stranger.0, Reason::NotGranted);
}

#[test]
fn a_caller_who_names_another_sandbox_learns_of_none_that_is_not_its_own() {
    let policy = policy_of(fixed(PROD), |settings| {
        let bound = Bounds {
            places: Places::These(vec![DEV]),
            ..bounds("crm")
        };
        settings.callers = [bounds("anonymous"), bound, bounds("reports")]
            .into_iter()
            .collect();
    });
    let told = |caller| {
        let asked = Asked {
            named: Named::One("dev-2"),
            ..asked(caller, Kind::Read)
        };
        decide(&policy, &asked).unwrap_err().1
    };

    assert_eq!(
        told(CRM),
        "no sandbox is allowed to the caller on this route"
    );
    assert!(told(REPORTS).starts_with("the request would work in sandbox prod,"));
}

#[test]
fn who_may_do_nothing_is_not_told_to_try_something_else() {
    let bound = |rule, bound: Bounds| {
        policy_of(rule, |settings| {
            settings.callers = [bounds("anonymous"), bound, bounds("reports")]
                .into_iter()
                .collect();
        })
    };
    let elsewhere = Bounds {
        places: Places::These(vec![DEV]),
        ..bounds("crm")
    };
    let reads = Bounds {
        permit: Kinds::READ,
        ..bounds("crm")
    };
    let writes = Rule {
        allow: vec![Allowed {
            place: DEV,
            permit: [Kind::Write].into_iter().collect(),
        }],
        ..fixed(DEV)
    };

    let nowhere = bound(found(Source::Header(None), &[PROD]), elsewhere);
    assert_eq!(
        decide(&nowhere, &asked(CRM, Kind::Read)).unwrap_err().1,
        "no sandbox is allowed to the caller on this route"
    );
    let nothing = bound(writes, reads);
    assert_eq!(
        decide(&nothing, &asked(CRM, Kind::Write)).unwrap_err().1,
        "this is a write; the caller may do nothing in sandbox dev-2"
    );
}

#[test]
fn a_dry_run_lets_pass_what_has_a_place_and_nothing_else() {
    let rule = Rule {
        callers: Callers::These(HashMap::from([(
            CRM,
            Grant {
                permit: Kinds::READ,
                places: Places::These(vec![DEV]),
            },
        )])),
        dry_run: true,
        ..found(Source::Header(None), &[PROD, DEV])
    };
    let policy = policy(rule);
    let named = |caller, kind, name| Asked {
        named: Named::One(name),
        ..asked(caller, kind)
    };
    // That another sandbox is named is no permission that is tried out.
    let elsewhere = policy_of(
        Rule {
            dry_run: true,
            ..fixed(DEV)
        },
        |_| {},
    );
    assert_eq!(
        reason(&elsewhere, &named(CRM, Kind::Read, "prod")),
        Some(Reason::SandboxNotAllowed)
    );

    for (asked, passes, would) in [
        (named(CRM, Kind::Read, "dev-2"), true, None),
        (
            named(CRM, Kind::Write, "dev-2"),
            true,
            Some(Reason::NotGranted),
        ),
        (
            named(CRM, Kind::Read, "prod"),
            true,
            Some(Reason::SandboxNotAllowed),
        ),
        (
            named(REPORTS, Kind::Read, "dev-2"),
            true,
            Some(Reason::NotGranted),
        ),
        (
            named(CRM, Kind::Read, "eu"),
            false,
            Some(Reason::SandboxNotAllowed),
        ),
        (
            asked(CRM, Kind::Read),
            false,
            Some(Reason::SandboxNotAllowed),
        ),
    ] {
        let ruling = policy.rule(&asked).unwrap();
        let refusal = ruling.refusal();
        let told = refusal.map(|refusal| refusal.told(&policy, &asked).reason());
        assert_eq!(
            (ruling.enforced().is_ok(), told),
            (passes, would),
            "{asked:?}"
        );
    }
    // What is not enforced is not the answer either.
    for asked in [asked(REPORTS, Kind::Read), named(REPORTS, Kind::Read, "eu")] {
        assert_eq!(reason(&policy, &asked), Some(Reason::SandboxNotAllowed));
        let ruling = policy.rule(&asked).unwrap();
        assert_eq!(ruling.refusal(), Some(&Refusal::Caller));
    }
}

#[test]
fn who_has_a_sandbox_by_name_is_told_of_no_other() {
    let by_caller = HashMap::from([(CRM, DEV), (REPORTS, PROD)]);
    let policy = policy(found(Source::Caller(by_caller), &[PROD, DEV]));
    let told = |caller| {
        let asked = Asked {
            named: Named::One("elsewhere"),
            ..asked(caller, Kind::Read)
        };
        decide(&policy, &asked).unwrap_err().1
    };

    let nothing = told(CallerId::ANONYMOUS);
    assert!(
        nothing.contains("no sandbox is allowed to the caller"),
        "{nothing}"
    );
    assert!(told(CRM).contains("dev-2") && !told(CRM).contains("prod"));
    assert_eq!(policy.within_reach(RouteId(0), REPORTS).unwrap(), [PROD]);
}
