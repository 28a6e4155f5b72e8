//! What the header fields cost, both ways: taking out, putting in ours with a token of 1,500 bytes, checking them again.

use gungraun::{library_benchmark, library_benchmark_group};
use http::{HeaderMap, HeaderValue, Version};
use profile_gateway::aep::OwnedFields;
use profile_gateway::forward::{Forwarded, Rule, fields as work_on};

use crate::gateway;
use crate::upstream;
use crate::work::{Work, work};

#[library_benchmark(setup = prepare_request)]
#[bench::lookup()]
fn outbound(mut work: Work) -> Work {
    work();
    work
}

#[library_benchmark(setup = prepare_answer)]
#[bench::lookup()]
fn inbound(mut work: Work) -> Work {
    work();
    work
}

fn prepare_request() -> Work {
    let rule = Rule::default();
    let owned = OwnedFields {
        authorization: gateway::bearer(),
        api_key: HeaderValue::from_static("0a1b2c3d4e5f60718293a4b5c6d7e8f9"),
        organization: HeaderValue::from_static("0A1B2C3D4E5F60718293A4B5@AdobeOrg"),
        sandbox: HeaderValue::from_static("prod"),
    };
    let go_out = move |mut fields: HeaderMap| {
        let stripped = work_on::outbound(&mut fields, &rule, Forwarded::Drop);
        stripped.expect("a lookup is fit to be sent");
        work_on::write_owned(&mut fields, Version::HTTP_11, &owned);
        owned.verify(&fields).expect("the four are there once each");
        fields
    };
    work(|_| gateway::fields(), go_out)
}

fn prepare_answer() -> Work {
    let come_in = |mut fields: HeaderMap| {
        work_on::inbound(&mut fields);
        fields
    };
    work(|_| upstream::fields(), come_in)
}

library_benchmark_group!(name = fields_group, benchmarks = [outbound, inbound]);
