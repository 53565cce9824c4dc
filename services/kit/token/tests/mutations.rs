//! One good token, and everything that may be wrong with it, one at a time.

use std::net::TcpListener;
use std::path::Path;
#[cfg(feature = "url")]
use std::sync::Arc;
#[cfg(feature = "url")]
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kit_event::{Timestamp, UnitId};
use kit_token::{
    AgentKey, InvalidToken, Issuer, KeySource, Kind, Trusted, Verified, Verifier, add_agent_key,
};
use serde_json::{Value, json};
use uuid::Uuid;

const NOW_SECONDS: i64 = 1_770_000_000;

fn now() -> Timestamp {
    Timestamp::from_unix_ms(NOW_SECONDS * 1000)
}

/// An issuer that signs whatever it is told.
struct Forge {
    pair: Ed25519KeyPair,
}

impl Forge {
    fn new() -> Self {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Self { pair: Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap() }
    }

    fn jwk(&self, key_id: &str) -> Value {
        let x = URL_SAFE_NO_PAD.encode(self.pair.public_key().as_ref());
        json!({"kty": "OKP", "crv": "Ed25519", "kid": key_id, "x": x})
    }

    fn sign(&self, header: &str, claims: &str) -> String {
        let signed = format!("{}.{}", encode(header), encode(claims));
        let signature = self.pair.sign(signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
    }
}

fn encode(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(text)
}

fn header() -> Value {
    json!({"typ": "at+jwt", "alg": "EdDSA", "kid": "one"})
}

fn claims() -> Value {
    json!({
        "iss": "urn:arteria:dev:staff", "aud": "staff-api", "sub": "desk-1", "jti": "t-1",
        "iat": NOW_SECONDS - 5, "exp": NOW_SECONDS + 3600, "units": ["hcu-0001"],
    })
}

fn with(mut value: Value, member: &str, new: Value) -> Value {
    value[member] = new;
    value
}

fn without(mut value: Value, member: &str) -> Value {
    value.as_object_mut().unwrap().remove(member);
    value
}

async fn staff_verifier(dir: &Path, forge: &Forge) -> Verifier {
    let path = dir.join("staff.jwks.json");
    std::fs::write(&path, json!({"keys": [forge.jwk("one")]}).to_string()).unwrap();
    Verifier::open(vec![Trusted::new(Kind::Staff, KeySource::File(path))]).await.unwrap()
}

struct Bench {
    forge: Forge,
    verifier: Verifier,
    _dir: tempfile::TempDir,
}

impl Bench {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let forge = Forge::new();
        let verifier = staff_verifier(dir.path(), &forge).await;
        Self { forge, verifier, _dir: dir }
    }

    async fn verdict(&self, header: &Value, claims: &Value) -> Result<Verified, InvalidToken> {
        let token = self.forge.sign(&header.to_string(), &claims.to_string());
        self.verifier.verify(&token, now()).await
    }
}

#[tokio::test]
async fn the_good_token_passes() {
    let bench = Bench::new().await;
    let caller = bench.verdict(&header(), &claims()).await.unwrap();
    assert_eq!(caller.actor(), "staff:desk-1");
    assert!(caller.sees(&"hcu-0001".parse().unwrap()));
    assert!(!caller.sees(&"hcu-0002".parse().unwrap()));
    let spelt = with(header(), "typ", json!("application/AT+JWT"));
    assert!(bench.verdict(&spelt, &claims()).await.is_ok());
}

#[tokio::test]
async fn a_required_claim_may_not_be_missing_or_of_another_type() {
    let bench = Bench::new().await;
    for claim in ["iss", "aud", "sub", "jti", "iat", "exp"] {
        let result = bench.verdict(&header(), &without(claims(), claim)).await;
        assert!(result.is_err(), "{claim} absent");
        let good = claims()[claim].clone();
        let wrong = [
            json!(null),
            json!(true),
            json!({}),
            json!([good.clone()]),
            json!([good.clone(), "other"]),
            if good.is_string() { json!(7) } else { json!(good.to_string()) },
            if good.is_string() { json!("") } else { json!(-1.5) },
        ];
        for value in wrong {
            let result = bench.verdict(&header(), &with(claims(), claim, value.clone())).await;
            assert!(result.is_err(), "{claim} as {value}");
        }
    }
    for (claim, value) in [
        ("nbf", json!(null)),
        ("nbf", json!("1")),
        ("units", json!("hcu-0001")),
        ("units", json!([])),
        ("units", json!(["Not A Unit"])),
        ("units", json!([null])),
        ("patient", json!("7f4df1a5-0000-4000-8000-000000000000")),
        ("sub", json!("x".repeat(256))),
        ("jti", json!("x".repeat(256))),
    ] {
        let result = bench.verdict(&header(), &with(claims(), claim, value.clone())).await;
        assert!(result.is_err(), "{claim} as {value}");
    }
}

#[tokio::test]
async fn a_claim_that_stands_twice_is_refused() {
    let bench = Bench::new().await;
    let doubled = claims().to_string().replacen('{', r#"{"aud":"admin-api","#, 1);
    let token = bench.forge.sign(&header().to_string(), &doubled);
    assert_eq!(bench.verifier.verify(&token, now()).await, Err(InvalidToken::Claims));
}

#[tokio::test]
async fn times_are_judged_with_ten_seconds_of_leeway() {
    let bench = Bench::new().await;
    let cases = [
        ("exp", -10, Ok(())),
        ("exp", -11, Err(InvalidToken::Expired)),
        ("nbf", 9, Ok(())),
        ("nbf", 11, Err(InvalidToken::NotYet)),
        ("nbf", 61, Err(InvalidToken::NotYet)),
        ("nbf", 31_536_000, Err(InvalidToken::NotYet)),
        ("iat", 9, Ok(())),
        ("iat", 59, Ok(())),
        ("iat", 60, Err(InvalidToken::NotYet)),
        ("iat", -24 * 3600, Err(InvalidToken::Lifetime)),
    ];
    for (claim, seconds, expected) in cases {
        let mut token = with(claims(), "iat", json!(NOW_SECONDS - 600));
        token[claim] = json!(NOW_SECONDS + seconds);
        let verdict = bench.verdict(&header(), &token).await.map(|_| ());
        assert_eq!(verdict, expected, "{claim} {seconds:+} s");
    }
    for absurd in [i64::MAX, i64::MIN] {
        for claim in ["exp", "iat", "nbf"] {
            let token = with(claims(), claim, json!(absurd));
            let harmless = claim == "nbf" && absurd == i64::MIN;
            assert_eq!(bench.verdict(&header(), &token).await.is_ok(), harmless, "{claim}");
        }
    }
}

#[tokio::test]
async fn a_header_may_not_choose_algorithm_type_or_key() {
    let bench = Bench::new().await;
    let stranger = Forge::new();
    for (member, value, expected) in [
        ("typ", json!("JWT"), InvalidToken::Type),
        ("typ", json!("at+jwt "), InvalidToken::Type),
        ("alg", json!("none"), InvalidToken::Malformed),
        ("alg", json!("HS256"), InvalidToken::Algorithm),
        ("alg", json!("ES256"), InvalidToken::Algorithm),
        ("kid", json!("two"), InvalidToken::Key),
        ("crit", json!(["b64"]), InvalidToken::Algorithm),
    ] {
        let verdict = bench.verdict(&with(header(), member, value.clone()), &claims()).await;
        assert_eq!(verdict.map(|_| ()), Err(expected), "{member} as {value}");
    }
    for member in ["typ", "alg", "kid"] {
        assert!(bench.verdict(&without(header(), member), &claims()).await.is_err(), "{member}");
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("http://{}/keys", listener.local_addr().unwrap());
    for (member, value) in [("jku", json!(url)), ("x5u", json!(url)), ("jwk", stranger.jwk("one"))]
    {
        let header = with(header(), member, value);
        let forged = stranger.sign(&header.to_string(), &claims().to_string());
        assert!(bench.verifier.verify(&forged, now()).await.is_err(), "{member}");
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(listener.accept().is_err(), "nobody fetched what the token pointed to");
}

#[tokio::test]
async fn the_public_key_is_no_hmac_secret_and_a_signature_must_fit() {
    let bench = Bench::new().await;
    let token = bench.forge.sign(&header().to_string(), &claims().to_string());
    let public = bench.forge.pair.public_key().as_ref().to_vec();
    let hs256 = jsonwebtoken::Header {
        typ: Some("at+jwt".into()),
        kid: Some("one".into()),
        ..jsonwebtoken::Header::new(jsonwebtoken::Algorithm::HS256)
    };
    let secret = jsonwebtoken::EncodingKey::from_secret(&public);
    let confused = jsonwebtoken::encode(&hs256, &claims(), &secret).unwrap();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let claims_part = signed.split_once('.').unwrap().1;
    let other = encode(&with(claims(), "units", json!(["hcu-0002"])).to_string());
    let stranger = Forge::new().sign(&header().to_string(), &claims().to_string());
    for forged in [
        confused,
        stranger,
        format!("{signed}."),
        signed.to_owned(),
        format!("{signed}.{}", &signature[..signature.len() - 4]),
        format!("{}.{other}.{signature}", encode(&header().to_string())),
        format!("{}.{claims_part}.", encode(r#"{"typ":"at+jwt","alg":"none","kid":"one"}"#)),
        format!("{token}.x"),
        format!("{token}="),
        String::new(),
        "..".to_owned(),
        "a.b.c".to_owned(),
        "x".repeat(1 << 20),
    ] {
        assert!(bench.verifier.verify(&forged, now()).await.is_err());
    }
}

#[tokio::test]
async fn only_the_diagonal_of_kinds_and_audiences_passes() {
    let dir = tempfile::tempdir().unwrap();
    let issuer = Issuer::open(dir.path(), false).unwrap();
    let unit: UnitId = "hcu-0001".parse().unwrap();
    let agents = dir.path().join("agents.jwks.json");
    let agent = AgentKey::generate(&unit, &dir.path().join("agent.key")).unwrap();
    add_agent_key(&agents, &unit, &agent.public_jwk()).unwrap();
    let source = |kind: Kind| match kind {
        Kind::Agent => KeySource::File(agents.clone()),
        other => KeySource::File(dir.path().join(format!("{other}.jwks.json"))),
    };
    let token = |kind: Kind| {
        let units = if kind == Kind::Admin { vec![] } else { vec![unit.clone()] };
        let patient = (kind == Kind::Patient).then(Uuid::new_v4);
        match kind {
            Kind::Agent => agent.sign_hello(now()).unwrap(),
            _ => issuer.issue(kind, "x", &units, patient, Duration::from_mins(1), now()).unwrap(),
        }
    };
    for border in Kind::ALL {
        let verifier = Verifier::open(vec![Trusted::new(border, source(border))]).await.unwrap();
        for kind in Kind::ALL {
            let verdict = verifier.verify(&token(kind), now()).await;
            assert_eq!(verdict.is_ok(), kind == border, "{kind} at the {border} border");
        }
        // The same with every issuer's name but this kind's keys: keys are not shared either.
        for claimed in Kind::ALL.into_iter().filter(|kind| *kind != border) {
            let mixed =
                Trusted { kind: border, issuer: claimed.issuer().to_owned(), keys: source(border) };
            let verifier = Verifier::open(vec![mixed]).await.unwrap();
            assert!(verifier.verify(&token(claimed), now()).await.is_err(), "{claimed}");
        }
    }
}

#[tokio::test]
async fn an_agents_token_speaks_for_the_unit_of_its_key_and_lives_five_minutes() {
    let dir = tempfile::tempdir().unwrap();
    let forge = Forge::new();
    let path = dir.path().join("agents.jwks.json");
    let keys = json!({"keys": [forge.jwk("hcu-0001")]});
    std::fs::write(&path, keys.to_string()).unwrap();
    let verifier =
        Verifier::open(vec![Trusted::new(Kind::Agent, KeySource::File(path))]).await.unwrap();
    let header = json!({"typ": "at+jwt", "alg": "EdDSA", "kid": "hcu-0001"});
    let hello = json!({
        "iss": "urn:arteria:agents", "aud": "unit.v1", "sub": "hcu-0001", "jti": "h-1",
        "iat": NOW_SECONDS, "exp": NOW_SECONDS + 300,
    });
    let verdict = async |claims: &Value| {
        verifier.verify(&forge.sign(&header.to_string(), &claims.to_string()), now()).await
    };
    assert_eq!(verdict(&hello).await.unwrap().units, ["hcu-0001".parse().unwrap()]);
    for (claim, value) in [
        ("sub", json!("hcu-0002")),
        ("exp", json!(NOW_SECONDS + 301)),
        ("aud", json!(["unit.v1"])),
        ("aud", json!("staff-api")),
        ("units", json!(["hcu-0002"])),
    ] {
        assert!(verdict(&with(hello.clone(), claim, value.clone())).await.is_err(), "{claim}");
    }
}

#[tokio::test]
async fn a_clinic_enrolled_a_moment_ago_is_let_in() {
    let dir = tempfile::tempdir().unwrap();
    let agents = dir.path().join("agents.jwks.json");
    let trusted = Trusted::new(Kind::Agent, KeySource::File(agents.clone()));
    let verifier = Verifier::open(vec![trusted]).await.unwrap();
    let unit: UnitId = "hcu-0001".parse().unwrap();
    let key = AgentKey::generate(&unit, &dir.path().join("agent.key")).unwrap();
    let token = key.sign_hello(now()).unwrap();
    assert_eq!(verifier.verify(&token, now()).await, Err(InvalidToken::Key));
    add_agent_key(&agents, &unit, &key.public_jwk()).unwrap();
    tokio::time::sleep(Duration::from_millis(30)).await;
    assert!(verifier.verify(&token, now()).await.is_ok());
}

/// Serves one key set over HTTP and counts who asks.
#[cfg(feature = "url")]
async fn serve_keys(keys: Value) -> (String, Arc<AtomicUsize>) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/keys", listener.local_addr().unwrap());
    let hits = Arc::new(AtomicUsize::new(0));
    let counted = hits.clone();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            let _ = socket.read(&mut [0; 2048]).await;
            let body = keys.to_string();
            let head = format!(
                "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            let _ = socket.write_all((head + &body).as_bytes()).await;
        }
    });
    (url, hits)
}

#[cfg(feature = "url")]
#[tokio::test]
async fn unknown_keys_make_nobody_hammer_an_issuer() {
    let forge = Forge::new();
    let (url, hits) = serve_keys(json!({"keys": [forge.jwk("one")]})).await;
    let trusted = Trusted::new(Kind::Staff, url.parse().unwrap());
    let verifier = Verifier::open(vec![trusted]).await.unwrap();
    let good = forge.sign(&header().to_string(), &claims().to_string());
    assert!(verifier.verify(&good, now()).await.is_ok());
    for n in 0..100 {
        let header = with(header(), "kid", json!(format!("unknown-{n}")));
        let token = forge.sign(&header.to_string(), &claims().to_string());
        assert_eq!(verifier.verify(&token, now()).await, Err(InvalidToken::Key));
    }
    assert_eq!(hits.load(Ordering::SeqCst), 1, "the fetch at start and no other");
}
