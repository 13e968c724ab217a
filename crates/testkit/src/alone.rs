use std::fs::File;

/// Held by a test that measures what another test would disturb: no other that measures runs meanwhile.
/// Where nextest runs the tests, `.config/nextest.toml` sees to more than that.
pub struct Alone {
    _lock: File,
}

impl Alone {
    /// Waits for its turn.
    pub fn wait() -> Self {
        let lock = lock_file();
        lock.lock().expect("locked");
        Self { _lock: lock }
    }
}

/// Held by a test that measures beside others, and not while one measures alone.
pub struct Beside {
    _lock: File,
}

impl Beside {
    /// Waits until nobody measures alone.
    pub fn others() -> Self {
        let lock = lock_file();
        lock.lock_shared().expect("locked");
        Self { _lock: lock }
    }
}

/// One for all test processes of this machine.
fn lock_file() -> File {
    let path = std::env::temp_dir().join("lab-tests.lock");
    File::create(path).expect("a lock file")
}
