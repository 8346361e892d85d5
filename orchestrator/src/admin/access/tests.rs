//! The guard in front of routes that all exist: who gets through, and what the others are told.

use std::net::SocketAddr;

use actix_web::body::to_bytes;
use actix_web::middleware::from_fn;
use actix_web::test::{TestRequest, call_service, init_service};
use actix_web::{App, web};

use super::*;

const VIEWER: &str = "a-token-of-viewers";
const ADMIN: &str = "a-token-of-admins";

struct Answer {
    status: u16,
    challenge: Option<String>,
    body: String,
}

async fn ask(access: Access, request: TestRequest) -> Answer {
    let everything = web::to(|| async { HttpResponse::Ok().body("through") });
    let app = App::new().app_data(Data::new(access)).wrap(from_fn(guard)).default_service(everything);
    let response = call_service(&init_service(app).await, request.to_request()).await;
    let challenge = response.headers().get(WWW_AUTHENTICATE).map(|value| value.to_str().unwrap().to_owned());
    let status = response.status().as_u16();
    let body = String::from_utf8(to_bytes(response.into_body()).await.unwrap().to_vec()).unwrap();
    Answer { status, challenge, body }
}

fn request(method: Method, path: &str) -> TestRequest {
    TestRequest::default().method(method).uri(path)
}

fn from(peer: &str, host: &str, request: TestRequest) -> TestRequest {
    request.peer_addr(peer.parse::<SocketAddr>().unwrap()).insert_header((HOST, host))
}

/// Without token files.
async fn check_local(peer: &str, host: &str, what: TestRequest, status: u16, expect: &str) {
    let answer = ask(Access::default(), from(peer, host, what)).await;
    assert_eq!((answer.status, answer.challenge), (status, None), "{peer} {host}");
    assert!(answer.body.contains(expect), "{}", answer.body);
}

#[actix_web::test]
async fn without_tokens_this_machine_may_do_anything_and_others_nothing() {
    let (get, put) = (|| request(Method::GET, "/api/v1/plan"), || request(Method::PUT, "/api/v1/policy"));
    check_local("127.0.0.1:9", "localhost:7610", get(), 200, "through").await;
    check_local("[::1]:9", "[::1]:7610", put(), 200, "through").await;
    check_local("10.0.0.9:9", "localhost:7610", get(), 403, "--admin-token-file").await;
    check_local("127.0.0.1:9", "weir.evil.example", get(), 403, "`Host` must be localhost").await;
    check_local("10.0.0.9:9", "weir.example", request(Method::GET, "/metrics"), 200, "through").await;
    let proxied = get().insert_header(("x-forwarded-for", "127.0.0.1"));
    check_local("10.0.0.9:9", "localhost", proxied, 403, "this machine only").await;
    let nameless = ask(Access::default(), get().peer_addr("127.0.0.1:9".parse().unwrap())).await;
    assert_eq!(nameless.status, 403);
}

#[actix_web::test]
async fn without_tokens_a_page_of_another_origin_changes_nothing() {
    let put = || request(Method::PUT, "/api/v1/policy");
    let of = |origin, what: TestRequest| what.insert_header((ORIGIN, origin));
    let host = "localhost:7610";
    check_local("127.0.0.1:9", host, of("http://localhost:7610", put()), 200, "through").await;
    for origin in ["http://evil.example", "http://localhost:9999", "null"] {
        check_local("127.0.0.1:9", host, of(origin, put()), 403, "another origin").await;
        let solve = request(Method::POST, "/api/v1/plan/solve");
        check_local("127.0.0.1:9", host, of(origin, solve), 403, "another origin").await;
    }
    check_local("127.0.0.1:9", host, of("http://evil.example", request(Method::GET, "/livez")), 200, "")
        .await;
}

fn access() -> (tempfile::TempDir, Access) {
    let folder = tempfile::tempdir().unwrap();
    let (viewers, admins) = (folder.path().join("viewers"), folder.path().join("admins"));
    std::fs::write(&viewers, VIEWER).unwrap();
    std::fs::write(&admins, format!("one-more-admin-token\n{ADMIN}\n")).unwrap();
    let access = Access::new(Some(&viewers), Some(&admins)).unwrap();
    (folder, access)
}

#[actix_web::test]
async fn with_tokens_the_role_decides_wherever_one_comes_from() {
    let (_folder, access) = access();
    let routes = [("/metrics", Method::GET), ("/api/v1/plan", Method::GET), ("/api/v1/policy", Method::PUT)];
    for (credentials, expected) in [
        (None, [200, 401, 401]),
        (Some("Bearer a-token-of-nobody".to_owned()), [200, 401, 401]),
        (Some("Bearer".to_owned()), [200, 401, 401]),
        (Some(format!("Basic {ADMIN}")), [200, 401, 401]),
        (Some(format!("Bearer {VIEWER}")), [200, 200, 403]),
        (Some(format!("bearer {ADMIN}")), [200, 200, 200]),
    ] {
        for ((path, method), expected) in routes.iter().zip(expected) {
            let mut asked = from("10.0.0.9:9", "weir.example", request(method.clone(), path));
            if let Some(credentials) = &credentials {
                asked = asked.insert_header((AUTHORIZATION, credentials.as_str()));
            }
            let answer = ask(access.clone(), asked).await;
            assert_eq!(answer.status, expected, "{method} {path} as {credentials:?}");
            let challenged = answer.challenge.is_some_and(|challenge| challenge.starts_with("Bearer"));
            assert_eq!(challenged, expected == 401);
            assert!(!answer.body.contains("a-token-of"), "{}", answer.body);
        }
    }
}

#[actix_web::test]
async fn a_second_set_of_credentials_is_refused() {
    let (_folder, access) = access();
    let twice = request(Method::GET, "/api/v1/plan")
        .append_header((AUTHORIZATION, format!("Bearer {ADMIN}")))
        .append_header((AUTHORIZATION, "Bearer a-token-of-nobody"));
    assert_eq!(ask(access, twice).await.status, 401);
}

#[actix_web::test]
async fn damaged_token_files_do_not_open_the_door_to_this_machine() {
    let (folder, access) = access();
    std::fs::write(folder.path().join("admins"), "").unwrap();
    std::fs::remove_file(folder.path().join("viewers")).unwrap();
    let asked = from("127.0.0.1:9", "localhost", request(Method::GET, "/api/v1/plan"));
    assert_eq!(ask(access.clone(), asked).await.status, 401);
    let asked =
        request(Method::GET, "/api/v1/plan").insert_header((AUTHORIZATION, format!("Bearer {ADMIN}")));
    assert_eq!(ask(access, asked).await.status, 401);
}
