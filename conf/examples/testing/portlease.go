// Ports for tests that nobody else has meanwhile, for Go.
//
// Copy this file into a folder portlease of your module, and change your tests so that they take
// their ports from it:
//
//	port := portlease.Port(t)
//	ports := portlease.Block(t, 2)	// consecutive ones
//
// They are given back when the test ends, after what the test has registered with t.Cleanup since, so
// end there what listens on them; and when the process ends, however it ends. For TestMain, there is Take.
//
// It needs nothing but the command portfence. Where that is not installed, the test fails; or, with
// PORTLEASE_PROBE=1 in the environment, it is told ports that were free a moment ago, with a warning.

// Package portlease leases ports from portfence.
package portlease

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"math/rand"
	"net"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"
	"time"
)

// So that no lease ends because nobody has kept its pipe.
var holders sync.Map

// Port returns a port that is the test's own. Options are those of `portfence lease`, such as "--pool",
// "30000-30999"; with "--name", "db", all processes that give this name have the same ports.
func Port(t testing.TB, options ...string) int {
	t.Helper()
	return Block(t, 1, options...)[0]
}

// Block returns n consecutive ports that are the test's own. Options are as for Port.
func Block(t testing.TB, n int, options ...string) []int {
	t.Helper()
	ports, free, err := Take(n, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(free)
	return ports
}

// Take returns n consecutive ports, and what gives them back. If none are free, it waits for a minute.
func Take(n int, options ...string) (ports []int, free func(), err error) {
	arguments := append(append([]string{"lease", "--wait", "60"}, options...), strconv.Itoa(n))
	holder := exec.Command("portfence", arguments...)
	var why bytes.Buffer
	holder.Stderr = &why
	// the lease ends when this pipe ends, and when this process ends
	input, err := holder.StdinPipe()
	if err != nil {
		return nil, nil, err
	}
	output, err := holder.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	if err := holder.Start(); errors.Is(err, exec.ErrNotFound) {
		ports, err = probe(n)
		return ports, func() {}, err
	} else if err != nil {
		return nil, nil, err
	}
	holders.Store(holder, input)
	block, _ := bufio.NewReader(output).ReadString('\n')
	free = func() {
		input.Close()
		holder.Wait()
		holders.Delete(holder)
	}
	var first int
	if _, err := fmt.Sscanf(block, "%d", &first); err != nil {
		free()
		return nil, nil, fmt.Errorf("no ports could be leased: %s", bytes.TrimSpace(why.Bytes()))
	}
	return consecutive(first, n), free, nil
}

func consecutive(first, n int) (ports []int) {
	for i := 0; i < n; i++ {
		ports = append(ports, first+i)
	}
	return ports
}

// probe returns ports that nothing listens on now, though another program may take them the moment after.
func probe(n int) ([]int, error) {
	if os.Getenv("PORTLEASE_PROBE") != "1" {
		return nil, errors.New("the command 'portfence' is not installed, so no port can be leased; install " +
			"it, or set PORTLEASE_PROBE=1 to look for ports that are free just now")
	}
	fmt.Fprintln(os.Stderr, "warning: portfence is not installed: other programs may take the same ports")
	random := rand.New(rand.NewSource(time.Now().UnixNano()))
	for try := 0; try < 1000; try++ {
		ports := consecutive(20000+random.Intn(10000-n), n)
		if allFree(ports) {
			return ports, nil
		}
	}
	return nil, fmt.Errorf("no %d ports in a row are free", n)
}

func allFree(ports []int) bool {
	for _, port := range ports {
		listener, err := net.Listen("tcp", fmt.Sprintf(":%d", port))
		if err != nil {
			return false
		}
		defer listener.Close()
	}
	return true
}
