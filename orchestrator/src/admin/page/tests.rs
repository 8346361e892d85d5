//! The files as they are served, and rules that no browser checks.

use std::path::Path;

use actix_web::http::{Method, StatusCode, header};
use actix_web::{App, test as served};

use super::files::FILES;
use super::{SECURITY, configure};

/// Small enough for a phone's poor link; the page has neither framework nor fonts.
const ALL_MAX_BYTES: usize = 120_000;

fn text<'a>(headers: &'a header::HeaderMap, name: &header::HeaderName) -> &'a str {
    headers.get(name).map_or("", |value| value.to_str().unwrap())
}

async fn fetch(method: Method, path: &str, known: Option<&str>) -> (StatusCode, header::HeaderMap, String) {
    let app = served::init_service(App::new().configure(configure)).await;
    let request = served::TestRequest::default().method(method).uri(path);
    let request =
        known.into_iter().fold(request, |request, tag| request.insert_header((header::IF_NONE_MATCH, tag)));
    let response = served::call_service(&app, request.to_request()).await;
    let (status, headers) = (response.status(), response.headers().clone());
    let body = served::read_body(response).await;
    (status, headers, String::from_utf8(body.to_vec()).unwrap())
}

#[actix_web::test]
async fn every_file_is_served_with_its_kind_and_what_it_may_do() {
    for file in FILES {
        let (status, headers, body) = fetch(Method::GET, file.path, None).await;
        assert_eq!((status, text(&headers, &header::CONTENT_TYPE)), (StatusCode::OK, file.kind));
        assert_eq!(text(&headers, &header::CONTENT_SECURITY_POLICY), SECURITY);
        assert_eq!(text(&headers, &header::X_CONTENT_TYPE_OPTIONS), "nosniff");
        assert_eq!(body, file.text);
    }
}

#[actix_web::test]
async fn a_file_that_a_browser_has_is_not_sent_again() {
    let (_, headers, _) = fetch(Method::GET, "/assets/main.js", None).await;
    let tag = text(&headers, &header::ETAG);
    for known in [tag, &format!("\"other\", W/{tag}"), "*"] {
        let (status, headers, body) = fetch(Method::GET, "/assets/main.js", Some(known)).await;
        assert_eq!((status, body.as_str()), (StatusCode::NOT_MODIFIED, ""));
        assert_eq!(text(&headers, &header::ETAG), tag);
    }
    assert_eq!(fetch(Method::GET, "/assets/main.js", Some("\"other\"")).await.0, StatusCode::OK);
}

#[actix_web::test]
async fn the_page_can_only_be_read() {
    assert_eq!(fetch(Method::HEAD, "/", None).await.0, StatusCode::OK);
    let (status, headers, body) = fetch(Method::POST, "/", None).await;
    assert_eq!((status, text(&headers, &header::ALLOW)), (StatusCode::METHOD_NOT_ALLOWED, super::ALLOWED));
    assert!(body.contains("use GET, HEAD"), "{body}");
    assert_eq!(fetch(Method::GET, "/assets/../main.rs", None).await.0, StatusCode::NOT_FOUND);
}

#[test]
fn every_file_of_the_folder_is_served_and_small() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("page");
    let mut there: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| format!("/assets/{}", entry.unwrap().file_name().to_str().unwrap()))
        .map(|path| if path == "/assets/index.html" { "/".to_owned() } else { path })
        .collect();
    there.sort();
    let served: Vec<_> = FILES.iter().map(|file| file.path).collect();
    assert_eq!(served, there);
    let all: usize = FILES.iter().map(|file| file.text.len()).sum();
    assert!(all <= ALL_MAX_BYTES, "the page has {all} bytes");
}

#[test]
fn nothing_is_fetched_from_elsewhere_and_nothing_that_is_said_becomes_html() {
    for file in FILES {
        let own = file.text.replace("http://www.w3.org/2000/svg", "");
        for word in
            ["http://", "https://", "innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("]
        {
            assert!(!own.contains(word), "{} has {word}", file.path);
        }
        // The security policy forbids both; here the mistake is found before a browser is started.
        for word in [" style=", " onclick="] {
            assert!(!own.contains(word), "{} has {word}", file.path);
        }
    }
}
