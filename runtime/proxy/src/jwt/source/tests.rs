//! Files that are replaced by good and by broken ones, and when a server is asked. (What it is asked over TLS is in `tests/it/traffic`.)

use super::*;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

const KEYS: &str = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","kid":"ID"}]}"#;

fn knows(source: &Source, id: &str) -> bool {
    source.keys().is_some_and(|keys| keys.knows(Some(id)))
}

#[test]
fn a_source_is_one_for_all_that_name_it_and_is_forgotten_with_them() {
    let sources = Sources::start(Fetching::default()).unwrap();
    let (one, other) = (sources.at("/nowhere/keys.json"), sources.at("/nowhere/keys.json"));
    assert!(Arc::ptr_eq(&one, &other) && one.keys().is_none());
    let gone = Arc::downgrade(&one);
    drop((one, other));
    let start = std::time::Instant::now();
    // Whoever follows it has it for a moment from time to time.
    while gone.strong_count() > 0 {
        assert!(start.elapsed() < Duration::from_secs(20));
        std::thread::sleep(LOOK / 10);
    }
}

#[test]
fn what_is_no_set_of_keys_does_not_replace_one() {
    let source = Source::new("/keys.json");
    let take = |text: &str| source.take(Ok(text.as_bytes().to_vec()));
    assert!(take("{}").is_err() && source.keys().is_none());
    assert_eq!(source.kept(), "there are none yet");
    assert!(take(&KEYS.replace("ID", "a")).is_ok() && knows(&source, "a"));
    assert!(take("{\"keys\":[]}").is_err() && source.take(Err("gone".to_owned())).is_err());
    assert!(knows(&source, "a"));
    assert_eq!(source.kept(), "the keys before them stay");
    assert!(take(&KEYS.replace("ID", "b")).is_ok() && knows(&source, "b") && !knows(&source, "a"));
}

#[test]
fn a_file_is_read_at_once() {
    let path = std::env::temp_dir().join(format!("mesh-jwks-{}.json", std::process::id()));
    std::fs::write(&path, KEYS.replace("ID", "a")).unwrap();
    let sources = Sources::start(Fetching::default()).unwrap();
    let source = sources.at(path.to_str().unwrap());
    assert!(knows(&source, "a"));
    std::fs::remove_file(path).unwrap();
}

/// As many as ask at the same time for a key that nobody knows.
const CROWD: usize = 1_000;

/// All of them want newer keys, and have been answered.
async fn want(source: &Arc<Source>) {
    let mut crowd = tokio::task::JoinSet::new();
    for _ in 0..CROWD {
        let source = source.clone();
        crowd.spawn_local(async move { source.renewed().await });
    }
    while crowd.join_next().await.is_some() {}
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_new_is_found_and_a_crowd_that_asks_for_it_asks_once() {
    let (asked, served) = (Rc::new(Cell::new(0)), Rc::new(RefCell::new(Ok("a"))));
    let source = Arc::new(Source::new("https://sso.test/keys"));
    let (count, keys, weak) = (asked.clone(), served.clone(), Arc::downgrade(&source));
    let get = async move || {
        count.set(count.get() + 1);
        sleep(Duration::from_millis(50)).await;
        let served: Result<&str, &str> = *keys.borrow();
        served.map(|id| KEYS.replace("ID", id).into_bytes()).map_err(str::to_owned)
    };
    let all = LocalSet::new();
    all.spawn_local(async move { keep_asking(weak, "https://sso.test/keys", |_| {}, get).await });
    let story = async {
        sleep(Duration::from_secs(1)).await;
        assert!(asked.get() == 1 && knows(&source, "a"), "it is asked at once");
        *served.borrow_mut() = Ok("b");
        want(&source).await;
        assert!(asked.get() == 1 && knows(&source, "a"), "it was asked a moment ago");
        sleep(LEAST_PAUSE).await;
        want(&source).await;
        assert!(asked.get() == 2 && knows(&source, "b") && !knows(&source, "a"));
        want(&source).await;
        assert_eq!(asked.get(), 2, "who invents names of keys makes it be asked no more often");
        *served.borrow_mut() = Ok("c");
        sleep(REFRESH.mul_f64(1.3)).await;
        assert!(asked.get() == 3 && knows(&source, "c"), "it is asked from time to time, whoever wants it");
        *served.borrow_mut() = Err("it is away");
        sleep(LEAST_PAUSE).await;
        want(&source).await;
        assert!(asked.get() > 3 && knows(&source, "c"), "what there is stays");
        *served.borrow_mut() = Ok("d");
        sleep(2 * LEAST_PAUSE).await;
        assert!(knows(&source, "d"), "after a failure it is asked again soon");
    };
    all.run_until(story).await;
}
