// SPDX-License-Identifier: MIT
//
// main.go - the peer go: benches of rota-bench by goroutines, channels and time.AfterFunc().
//
// peer-go --list; peer-go NAME N LOOPS does one run and prints one JSON line; peer-go steal. 1 LOOPS
// is a server, see serve().
package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"math/rand"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"sort"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

// Processor time of the process, the collector's included.
func cpu() float64 {
	var use syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &use)
	return float64(use.Utime.Nano() + use.Stime.Nano())
}

// Processor time of each of n operations.
func cpuPer(n int, operations func()) float64 {
	start := cpu()
	operations()
	return (cpu() - start) / float64(n)
}

// Two goroutines that yield to each other.
func yield(n int) float64 {
	return cpuPer(n, func() {
		var group sync.WaitGroup
		for task := 0; task < 2; task++ {
			group.Add(1)
			go func() {
				for i := 0; i < n/2; i++ {
					runtime.Gosched()
				}
				group.Done()
			}()
		}
		group.Wait()
	})
}

// A message each way over unbuffered channels.
func roundtrip(n int) float64 {
	ping, pong := make(chan int), make(chan int)
	go func() {
		for message := range ping {
			pong <- message
		}
	}()
	defer close(ping)
	return cpuPer(n, func() {
		for i := 0; i < n; i++ {
			ping <- i
			<-pong
		}
	})
}

// One goroutine that does nothing, waited for.
func spawnJoin(n int) float64 {
	return cpuPer(n, func() {
		var group sync.WaitGroup
		for i := 0; i < n; i++ {
			group.Add(1)
			go group.Done()
			group.Wait()
		}
	})
}

// All spawned, then waited for; wall time.
func spawnBatch(n int) float64 {
	var group sync.WaitGroup
	group.Add(n)
	start := time.Now()
	for i := 0; i < n; i++ {
		go group.Done()
	}
	group.Wait()
	return float64(time.Since(start).Nanoseconds()) / float64(n)
}

// Resident bytes of the process.
func resident() float64 {
	var pages, size int
	file, err := os.Open("/proc/self/statm")
	if err != nil {
		return 0
	}
	defer file.Close()
	_, _ = fmt.Fscan(file, &size, &pages)
	return float64(pages * os.Getpagesize())
}

// Resident memory of goroutines that wait for one channel.
func parked(n int) float64 {
	gate := make(chan struct{})
	var arrived, left sync.WaitGroup
	arrived.Add(n)
	left.Add(n)
	before := resident()
	for i := 0; i < n; i++ {
		go func() {
			arrived.Done()
			<-gate
			left.Done()
		}()
	}
	arrived.Wait()
	bytes := (resident() - before) / float64(n)
	close(gate)
	left.Wait()
	return bytes
}

// Values from one thread of its own to a running goroutine; processor time of both.
func throughput(n int) float64 {
	posts := make(chan int, 1024)
	return cpuPer(n, func() {
		go func() {
			runtime.LockOSThread()
			for i := 0; i < n; i++ {
				posts <- i
			}
			close(posts)
		}()
		for range posts {
		}
	})
}

// A thread asks a goroutine and waits; both asleep before if `pause` is not zero.
func trips(n int, pause time.Duration) float64 {
	there, back := make(chan int), make(chan int)
	times := make([]float64, n)
	go func() {
		for message := range there {
			back <- message
		}
	}()
	done := make(chan int)
	go func() {
		runtime.LockOSThread()
		for i := range times {
			if pause > 0 {
				time.Sleep(pause)
			}
			start := time.Now()
			there <- i
			<-back
			times[i] = float64(time.Since(start).Nanoseconds())
		}
		close(done)
	}()
	<-done
	close(there)
	sort.Float64s(times)
	return times[n/2]
}

// Timers created and stopped, in order of creation or not.
func createCancel(n int, shuffled bool) float64 {
	timers := make([]*time.Timer, n)
	order := rand.New(rand.NewSource(20)).Perm(n)
	delays := rand.New(rand.NewSource(21))
	return cpuPer(n, func() {
		for i := range timers {
			delay := time.Second + time.Duration(delays.Int63n(int64(60*time.Second)))
			timers[i] = time.AfterFunc(delay, func() {})
		}
		for i := range timers {
			if shuffled {
				timers[order[i]].Stop()
			} else {
				timers[i].Stop()
			}
		}
	})
}

// Timers created and fired within 200 ns each.
func fire(n int) float64 {
	delays := rand.New(rand.NewSource(20))
	var group sync.WaitGroup
	group.Add(n)
	return cpuPer(n, func() {
		for i := 0; i < n; i++ {
			time.AfterFunc(time.Duration(delays.Int63n(int64(n)*200)), group.Done)
		}
		group.Wait()
	})
}

// Set when the input has ended.
var stopping uint32

// Processor time of the calling thread. The call is over at once, so that the scheduler need not
// know of it.
func threadCPU() int64 {
	const threadClock = 3 // CLOCK_THREAD_CPUTIME_ID
	var now syscall.Timespec
	_, _, _ = syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, threadClock,
		uintptr(unsafe.Pointer(&now)), 0)
	return now.Nano()
}

// What a message of the stall generator asks for: processor time in nanoseconds, or all of it.
func stall(amount uint64) {
	if amount == 0 {
		return
	}
	if amount == math.MaxUint64 {
		for atomic.LoadUint32(&stopping) == 0 {
		}
		return
	}
	runtime.LockOSThread() // whose clock is read
	start := threadCPU()
	for uint64(threadCPU()-start) < amount {
	}
	runtime.UnlockOSThread()
}

// One connection of the stall generator: messages of 64 bytes (tools/bench/steal.h). Connections
// belong to no thread, so that all are at home at number 0.
func echo(connection net.Conn) {
	var message [64]byte
	for {
		if _, err := io.ReadFull(connection, message[:]); err != nil {
			break
		}
		stall(binary.LittleEndian.Uint64(message[0:8]))
		binary.LittleEndian.PutUint64(message[8:16], 0)
		if _, err := connection.Write(message[:]); err != nil {
			break
		}
	}
	_ = connection.Close()
}

// Listens, prints its port as the value, and serves until the input ends.
func serve(loops int) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		os.Exit(1)
	}
	fmt.Printf("{\"name\":\"steal.\",\"unit\":\"port\",\"value\":%d,\"loops\":%d,\"n\":1}\n",
		listener.Addr().(*net.TCPAddr).Port, loops)
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			go echo(connection)
		}
	}()
	_, _ = io.Copy(io.Discard, os.Stdin)
	atomic.StoreUint32(&stopping, 1)
}

type bench struct {
	name string
	unit string
	run  func(n int) float64
}

var benches = []bench{
	{"task.yield", "ns", yield},
	{"task.roundtrip", "ns", roundtrip},
	{"task.spawn_join", "ns", spawnJoin},
	{"task.spawn_batch", "ns", spawnBatch},
	{"task.parked", "bytes", parked},
	{"post.throughput", "ns", throughput},
	{"post.roundtrip", "ns", func(n int) float64 { return trips(n, 300*time.Microsecond) }},
	{"post.roundtrip_hot", "ns", func(n int) float64 { return trips(n, 0) }},
	{"timer.create_cancel", "ns", func(n int) float64 { return createCancel(n, false) }},
	{"timer.create_cancel_random", "ns", func(n int) float64 { return createCancel(n, true) }},
	{"timer.fire", "ns", fire},
}

func main() {
	if len(os.Args) == 2 && os.Args[1] == "--list" {
		for _, one := range benches {
			fmt.Println(one.name)
		}
		fmt.Println("steal.")
		return
	}
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: peer-go --list | NAME N LOOPS")
		os.Exit(2)
	}
	n, errN := strconv.Atoi(os.Args[2])
	loops, errLoops := strconv.Atoi(os.Args[3])
	if errN != nil || errLoops != nil || n < 1 || loops < 1 {
		os.Exit(2)
	}
	runtime.GOMAXPROCS(loops)
	debug.SetMaxThreads(1000)
	if os.Args[1] == "steal." {
		serve(loops)
		return
	}
	for _, one := range benches {
		if one.name == os.Args[1] {
			fmt.Printf("{\"name\":\"%s\",\"unit\":\"%s\",\"value\":%g,\"loops\":%d,\"n\":%d}\n",
				one.name, one.unit, one.run(n), loops, n)
			return
		}
	}
	os.Exit(1)
}
