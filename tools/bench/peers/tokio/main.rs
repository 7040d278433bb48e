// SPDX-License-Identifier: MIT
//
// main.rs - the peer tokio: benches of rota-bench by tasks, channels and sleeps of Tokio.
//
// peer-tokio --list; peer-tokio NAME N LOOPS does one run and prints one JSON line; peer-tokio
// steal. 1 LOOPS is a server, see serve(). One loop is the runtime of the current thread, more are the
// multi-threaded one.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, oneshot, Notify};
use tokio::task::yield_now;

/// Processor time of the process in nanoseconds.
fn cpu() -> f64 {
    clock(libc::CLOCK_PROCESS_CPUTIME_ID)
}

fn clock(clock: libc::clockid_t) -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    unsafe { libc::clock_gettime(clock, &mut time) };
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}

/// The same sequence on each run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e3779b97f4a7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58476d1ce4e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d049bb133111eb);
        (x ^ (x >> 31)) % limit
    }
}

fn runtime(loops: usize) -> Runtime {
    let built = if loops == 1 {
        Builder::new_current_thread().enable_all().build()
    } else {
        Builder::new_multi_thread().worker_threads(loops).enable_all().build()
    };
    built.expect("a runtime")
}

/// Two tasks that yield to each other.
async fn yields(n: usize) -> f64 {
    let start = cpu();
    let tasks: Vec<_> = (0..2)
        .map(|_| {
            tokio::spawn(async move {
                for _ in 0..n / 2 {
                    yield_now().await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("a task");
    }
    (cpu() - start) / n as f64
}

/// A message each way over channels with room for one.
async fn roundtrip(n: usize) -> f64 {
    let (ping, mut ping_end) = mpsc::channel::<usize>(1);
    let (pong, mut pong_end) = mpsc::channel::<usize>(1);
    tokio::spawn(async move {
        while let Some(message) = ping_end.recv().await {
            if pong.send(message).await.is_err() {
                break;
            }
        }
    });
    let start = cpu();
    for i in 0..n {
        ping.send(i).await.expect("a receiver");
        pong_end.recv().await.expect("a sender");
    }
    (cpu() - start) / n as f64
}

/// One task that does nothing, awaited.
async fn spawn_join(n: usize) -> f64 {
    let start = cpu();
    for _ in 0..n {
        tokio::spawn(async {}).await.expect("a task");
    }
    (cpu() - start) / n as f64
}

/// All spawned, then awaited; wall time.
async fn spawn_batch(n: usize) -> f64 {
    let start = Instant::now();
    let tasks: Vec<_> = (0..n).map(|_| tokio::spawn(async {})).collect();
    for task in tasks {
        task.await.expect("a task");
    }
    start.elapsed().as_nanos() as f64 / n as f64
}

fn resident() -> f64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = text.split(' ').nth(1).and_then(|word| word.parse::<f64>().ok());
    pages.unwrap_or(0.0) * 4096.0
}

/// Resident memory of tasks that wait for one signal.
async fn parked(n: usize) -> f64 {
    let gate = Arc::new(Notify::new());
    let arrived = Arc::new(AtomicUsize::new(0));
    let before = resident();
    for _ in 0..n {
        let gate = gate.clone();
        let arrived = arrived.clone();
        tokio::spawn(async move {
            arrived.fetch_add(1, Ordering::Relaxed);
            gate.notified().await;
        });
    }
    while arrived.load(Ordering::Relaxed) < n {
        yield_now().await;
    }
    yield_now().await;
    let bytes = (resident() - before) / n as f64;
    gate.notify_waiters();
    bytes
}

/// Values from a thread to a running task; processor time of both.
async fn throughput(n: usize) -> f64 {
    let (post, mut posts) = mpsc::unbounded_channel::<usize>();
    let start = cpu();
    let thread = std::thread::spawn(move || {
        for i in 0..n {
            post.send(i).expect("a receiver");
        }
    });
    while posts.recv().await.is_some() {}
    let value = (cpu() - start) / n as f64;
    thread.join().expect("a thread");
    value
}

/// A thread asks a task and waits; both asleep before if the pause is not zero.
async fn trips(n: usize, pause: Duration) -> f64 {
    let (ask, mut asked) = mpsc::unbounded_channel::<oneshot::Sender<()>>();
    let thread = std::thread::spawn(move || {
        let mut times: Vec<f64> = Vec::with_capacity(n);
        for _ in 0..n {
            if !pause.is_zero() {
                std::thread::sleep(pause);
            }
            let start = Instant::now();
            let (answer, answered) = oneshot::channel();
            ask.send(answer).expect("a receiver");
            answered.blocking_recv().expect("an answer");
            times.push(start.elapsed().as_nanos() as f64);
        }
        times.sort_by(|a, b| a.partial_cmp(b).expect("numbers"));
        times[n / 2]
    });
    while let Some(answer) = asked.recv().await {
        let _ = answer.send(());
    }
    thread.join().expect("a thread")
}

/// Polls a timer once, which registers it.
struct Once<'a, F>(&'a mut Pin<Box<F>>);

impl<F: Future> Future for Once<'_, F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let _ = self.0.as_mut().poll(context);
        Poll::Ready(())
    }
}

/// Timers created and dropped, in order of creation or not.
async fn create_cancel(n: usize, shuffled: bool) -> f64 {
    let mut random = Random(20);
    let mut order: Vec<usize> = (0..n).collect();
    for i in (1..n).rev() {
        order.swap(i, random.below(i as u64 + 1) as usize);
    }
    let mut timers = Vec::with_capacity(n);
    let start = cpu();
    let first = tokio::time::Instant::now() + Duration::from_secs(1);
    for _ in 0..n {
        let delay = Duration::from_nanos(random.below(60_000_000_000));
        let mut timer = Box::pin(tokio::time::sleep_until(first + delay));
        Once(&mut timer).await;
        timers.push(Some(timer));
    }
    for i in 0..n {
        timers[if shuffled { order[i] } else { i }] = None;
    }
    (cpu() - start) / n as f64
}

/// Tasks that sleep, each for less than 200 ns times n.
async fn fire(n: usize) -> f64 {
    let mut random = Random(20);
    let start = cpu();
    let tasks: Vec<_> = (0..n)
        .map(|_| {
            let delay = Duration::from_nanos(random.below(n as u64 * 200));
            tokio::spawn(tokio::time::sleep(delay))
        })
        .collect();
    for task in tasks {
        task.await.expect("a task");
    }
    (cpu() - start) / n as f64
}

/// Set when the input has ended.
static STOPPING: AtomicBool = AtomicBool::new(false);

/// What a message of the stall generator asks for: processor time in nanoseconds, or all of it.
fn stall(amount: u64) {
    if amount == u64::MAX {
        while !STOPPING.load(Ordering::Relaxed) {}
    } else if amount > 0 {
        let start = clock(libc::CLOCK_THREAD_CPUTIME_ID);
        while clock(libc::CLOCK_THREAD_CPUTIME_ID) - start < amount as f64 {}
    }
}

/// One connection of the stall generator: messages of 64 bytes (tools/bench/steal.h). Connections
/// belong to no thread, so that all are at home at number 0.
async fn echo(mut connection: TcpStream) {
    let mut message = [0u8; 64];
    let _ = connection.set_nodelay(true);
    while connection.read_exact(&mut message).await.is_ok() {
        stall(u64::from_le_bytes(message[0..8].try_into().expect("eight bytes")));
        message[8..16].fill(0);
        if connection.write_all(&message).await.is_err() {
            break;
        }
    }
}

async fn accept(listener: TcpListener) {
    while let Ok((connection, _)) = listener.accept().await {
        tokio::spawn(echo(connection));
    }
}

/// Listens, prints its port as the value, and serves until the input ends.
fn serve(loops: usize) {
    let runtime = runtime(loops);
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a listener");
    println!(
        "{{\"name\":\"steal.\",\"unit\":\"port\",\"value\":{},\"loops\":{},\"n\":1}}",
        listener.local_addr().expect("its address").port(),
        loops
    );
    let ended = Arc::new(Notify::new());
    let told = ended.clone();
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        STOPPING.store(true, Ordering::Relaxed);
        told.notify_one();
    });
    runtime.spawn(accept(listener));
    runtime.block_on(ended.notified());
}

const NAMES: [&str; 12] = [
    "task.yield",
    "task.roundtrip",
    "task.spawn_join",
    "task.spawn_batch",
    "task.parked",
    "post.throughput",
    "post.roundtrip",
    "post.roundtrip_hot",
    "timer.create_cancel",
    "timer.create_cancel_random",
    "timer.fire",
    "steal.",
];

async fn run(name: String, n: usize) -> f64 {
    match name.as_str() {
        "task.yield" => yields(n).await,
        "task.roundtrip" => roundtrip(n).await,
        "task.spawn_join" => spawn_join(n).await,
        "task.spawn_batch" => spawn_batch(n).await,
        "task.parked" => parked(n).await,
        "post.throughput" => throughput(n).await,
        "post.roundtrip" => trips(n, Duration::from_micros(300)).await,
        "post.roundtrip_hot" => trips(n, Duration::ZERO).await,
        "timer.create_cancel" => create_cancel(n, false).await,
        "timer.create_cancel_random" => create_cancel(n, true).await,
        _ => fire(n).await,
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.len() == 2 && arguments[1] == "--list" {
        for name in NAMES {
            println!("{}", name);
        }
        return;
    }
    let number = |i: usize| arguments.get(i).and_then(|word| word.parse::<usize>().ok());
    let (name, n, loops) = match (arguments.get(1), number(2), number(3)) {
        (Some(name), Some(n), Some(loops)) if NAMES.contains(&name.as_str()) && n > 0 => {
            (name.clone(), n, loops)
        }
        _ => {
            eprintln!("usage: peer-tokio --list | NAME N LOOPS");
            std::process::exit(2);
        }
    };
    if name == "steal." {
        serve(loops);
        return;
    }
    let unit = if name == "task.parked" { "bytes" } else { "ns" };
    let runtime = runtime(loops);
    // In a task of its own, as on several threads block_on() is not on a worker.
    let task = runtime.spawn(run(name.clone(), n));
    let value = runtime.block_on(task).expect("a value");
    println!(
        "{{\"name\":\"{}\",\"unit\":\"{}\",\"value\":{},\"loops\":{},\"n\":{}}}",
        name, unit, value, loops, n
    );
}
