//! What is done in one step on the server, in Lua.
//!
//! All keys of a name have it as their hash tag, so that they live on one node of a cluster. A script that runs a second
//! time with the same arguments changes nothing and answers the same, so that one whose answer was lost can be sent again.

use std::sync::LazyLock;

use redis::{Cmd, Script};

/// A script, and the keys and arguments it is run with.
#[derive(Clone, Debug)]
pub(super) struct Call {
    script: &'static Script,
    code: &'static str,
    keys: Vec<String>,
    arguments: Vec<Vec<u8>>,
}

/// Where the parts of a name are kept.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    record: String,
    lease: String,
    fence: String,
}

impl Keys {
    pub(super) fn new(prefix: &str, name: &str) -> Self {
        let key = |part| format!("{prefix}:{{{name}}}:{part}");
        Self {
            record: key("record"),
            lease: key("lease"),
            fence: key("fence"),
        }
    }
}

impl Call {
    /// Reads a record: its fence, what is sealed, and how many milliseconds it has left.
    pub(super) fn read(keys: &Keys) -> Self {
        Self::new(&READ_SCRIPT, READ, [&keys.record], [])
    }

    /// Takes the lease for `lasts_ms`, unless somebody else has it.
    ///
    /// Answers 1 and the fence, or 0 and how many milliseconds the other's lease has left.
    pub(super) fn lease(keys: &Keys, holder: &str, lasts_ms: u64) -> Self {
        Self::new(
            &LEASE_SCRIPT,
            LEASE,
            [&keys.record, &keys.lease, &keys.fence],
            [
                holder.into(),
                number(lasts_ms),
                number(FENCE_LASTS_MS.max(lasts_ms)),
            ],
        )
    }

    /// Replaces the record unless its fence is greater, and frees the lease if it is still the holder's.
    ///
    /// Answers whether the record was replaced.
    pub(super) fn publish(
        keys: &Keys,
        holder: &str,
        fence: u64,
        sealed: String,
        lives_ms: u64,
    ) -> Self {
        Self::new(
            &PUBLISH_SCRIPT,
            PUBLISH,
            [&keys.record, &keys.lease],
            [
                number(fence),
                sealed.into(),
                number(lives_ms),
                held(holder, fence),
            ],
        )
    }

    /// Frees the lease if it is still the holder's.
    pub(super) fn release(keys: &Keys, holder: &str, fence: u64) -> Self {
        Self::new(
            &RELEASE_SCRIPT,
            RELEASE,
            [&keys.lease],
            [held(holder, fence)],
        )
    }

    /// Returns the command for a server that knows the script.
    pub(super) fn by_hash(&self) -> Cmd {
        self.command("EVALSHA", self.script.get_hash())
    }

    /// Returns the command for a server that does not; it will from then on.
    pub(super) fn by_code(&self) -> Cmd {
        self.command("EVAL", self.code)
    }

    fn new<const KEYS: usize, const ARGUMENTS: usize>(
        script: &'static Script,
        code: &'static str,
        keys: [&String; KEYS],
        arguments: [Vec<u8>; ARGUMENTS],
    ) -> Self {
        Self {
            script,
            code,
            keys: keys.into_iter().cloned().collect(),
            arguments: arguments.into(),
        }
    }

    fn command(&self, how: &str, script: &str) -> Cmd {
        let mut command = redis::cmd(how);
        command.arg(script).arg(self.keys.len());
        command.arg(&self.keys).arg(&self.arguments);
        command
    }
}

fn number(number: u64) -> Vec<u8> {
    number.to_string().into_bytes()
}

/// Returns what a lease holds while it is the holder's.
fn held(holder: &str, fence: u64) -> Vec<u8> {
    format!("{holder}:{fence}").into_bytes()
}

static READ_SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(READ));
static LEASE_SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(LEASE));
static PUBLISH_SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(PUBLISH));
static RELEASE_SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(RELEASE));

const READ: &str = "\
local record = redis.call('HMGET', KEYS[1], 'fence', 'sealed')
return {record[1], record[2], redis.call('PTTL', KEYS[1])}
";

// A fence is greater than the last one, greater than the record's, and no less than the server's clock in microseconds,
// which Lua's numbers hold exactly until 2255. The counter alone would do while it is there. When it was evicted, the
// record's fence keeps the next one from being too small to publish with. When all was lost, the clock keeps who had a
// lease before from coming out ahead.
const LEASE: &str = "\
local held = redis.call('GET', KEYS[2])
if held then
  local ours = ARGV[1] .. ':'
  if string.sub(held, 1, #ours) == ours then
    return {1, string.sub(held, #ours + 1)}
  end
  return {0, redis.call('PTTL', KEYS[2])}
end
local time = redis.call('TIME')
local fence = time[1] * 1000000 + time[2]
local last = tonumber(redis.call('GET', KEYS[3])) or 0
local published = tonumber(redis.call('HGET', KEYS[1], 'fence')) or 0
fence = string.format('%.0f', math.max(fence, last + 1, published + 1))
redis.call('SET', KEYS[3], fence, 'PX', ARGV[3])
redis.call('SET', KEYS[2], ARGV[1] .. ':' .. fence, 'PX', ARGV[2])
return {1, fence}
";

const PUBLISH: &str = "\
local published = tonumber(redis.call('HGET', KEYS[1], 'fence')) or 0
if published > tonumber(ARGV[1]) then
  return 0
end
redis.call('HSET', KEYS[1], 'fence', ARGV[1], 'sealed', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
if redis.call('GET', KEYS[2]) == ARGV[4] then
  redis.call('DEL', KEYS[2])
end
return 1
";

const RELEASE: &str = "\
if redis.call('GET', KEYS[1]) == ARGV[1] then
  return redis.call('DEL', KEYS[1])
end
return 0
";

/// How long the counter of fences outlives the latest lease: 30 days.
const FENCE_LASTS_MS: u64 = 30 * 24 * 60 * 60 * 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_keys_of_a_name_have_it_as_their_hash_tag() {
        let keys = Keys::new("profile-gateway", "loyalty");

        for key in [keys.record, keys.lease, keys.fence] {
            assert!(key.starts_with("profile-gateway:{loyalty}:"), "{key}");
        }
    }

    #[test]
    fn a_command_names_how_many_keys_it_has() {
        let call = Call::publish(&Keys::new("p", "n"), "me", 7, "sealed".to_owned(), 1000);

        let text = String::from_utf8(call.by_hash().get_packed_command()).unwrap();
        let words: Vec<&str> = text.split("\r\n").skip(2).step_by(2).collect();
        assert_eq!(words[0], "EVALSHA");
        assert_eq!(
            &words[2..],
            [
                "2",
                "p:{n}:record",
                "p:{n}:lease",
                "7",
                "sealed",
                "1000",
                "me:7"
            ]
        );
    }
}
