// 48 tests for Go, each with a real server on a port of portlease.go. With VICTIMS set to a test's number, the process
// is killed at any moment of this test, perhaps while it takes a port.
package suite

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"suite/portlease"
	"testing"
	"time"
)

// ask returns what the server says, once it is there.
func ask(t *testing.T, port int, question string) string {
	for {
		connection, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			time.Sleep(5 * time.Millisecond)
			continue
		}
		defer connection.Close()
		fmt.Fprint(connection, question)
		answer, err := bufio.NewReader(connection).ReadString('\n')
		if err != nil {
			t.Error(err)
		}
		return answer
	}
}

func dieSoon(t *testing.T) {
	if err := exec.Command(os.Getenv("DIE_SOON"), fmt.Sprint(os.Getpid())).Start(); err != nil {
		t.Fatal(err)
	}
}

func serve(t *testing.T, number, port int) {
	kind := [...]string{"nginx", "redis"}[number%2]
	token := fmt.Sprintf("%d-%d", os.Getpid(), number)
	server := exec.Command(os.Getenv("LEASED_SERVER"), kind, fmt.Sprint(port), token)
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Process.Kill(); server.Wait() })
	question, wanted := "AUTH "+token+"\r\n", "+OK"
	if kind == "nginx" {
		question, wanted = "GET /"+token+" HTTP/1.0\r\n\r\n", " 200 OK"
	}
	if answer := ask(t, port, question); !strings.Contains(answer, wanted) {
		t.Errorf("%s on port %d says %q", kind, port, answer)
	}
}

func TestServer(t *testing.T) {
	for number := 0; number < 48; number++ {
		number := number
		t.Run(fmt.Sprint(number), func(t *testing.T) {
			t.Parallel()
			dying := os.Getenv("VICTIMS") == fmt.Sprint(number)
			if dying {
				dieSoon(t)
			}
			if number%2 == 0 {
				serve(t, number, portlease.Port(t))
			} else {
				serve(t, number, portlease.Block(t, 3)[2])
			}
			if dying {
				select {}
			}
		})
	}
}

func TestName(t *testing.T) {
	fmt.Println(portlease.Block(t, 3, "--name", "db"), portlease.Port(t, "--name", "db"))
}

func TestWithoutPortfence(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if _, _, err := portlease.Take(3); err == nil || !strings.Contains(err.Error(), "'portfence' is not installed") {
		t.Error(err)
	}
	t.Setenv("PORTLEASE_PROBE", "1")
	if ports, _, err := portlease.Take(3); err != nil || len(ports) != 3 {
		t.Error(err)
	}
}

func TestError(t *testing.T) {
	_, _, err := portlease.Take(2, "--pool", "21000-21000")
	if err == nil || !strings.Contains(err.Error(), "a lease of 2 ports does not fit into the pool 21000") {
		t.Error(err)
	}
}
