package live

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"syscall"
	"time"
)

// janitorScript waits for a word. If its input ends without one, the caller has died: everything that runs
// for the directory is killed, and the directory removed. It knows processes by their program, which is a copy inside of the
// directory, or by being a server that works in it.
const janitorScript = `
dir=$1 keep=$2
read -r word && exit 0
round=0
while [ $round -lt 40 ]; do
	left=0
	for p in /proc/[0-9]*; do
		exe=$(readlink "$p/exe" 2>/dev/null) || continue
		case "${exe% (deleted)}" in
		"$dir"/bin/*) ;;
		*/postgres | */postmaster | */etcd)
			cwd=$(readlink "$p/cwd" 2>/dev/null) || continue
			case "$cwd" in "$dir"/*) ;; *) continue ;; esac ;;
		*) continue ;;
		esac
		kill -9 "${p#/proc/}" 2>/dev/null && left=1
	done
	[ $left = 0 ] && break
	round=$((round + 1))
	sleep 0.1
done
[ "$keep" = keep ] || rm -rf -- "$dir"
`

type janitor struct {
	*child
	word io.WriteCloser
}

func hireJanitor(dir string, keep bool) (*janitor, error) {
	choice := "remove"
	if keep {
		choice = "keep"
	}
	cmd := exec.Command("/bin/sh", "-c", janitorScript, "janitor", dir, choice)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // an interrupt from the terminal is not for it
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start the janitor: %w", err)
	}
	c, err := startChild("janitor", cmd)
	if err != nil {
		return nil, errors.Join(err, in.Close())
	}
	return &janitor{child: c, word: in}, nil
}

// dismiss tells the janitor that nothing is left to do.
func (j *janitor) dismiss() error {
	_, err := io.WriteString(j.word, "done\n")
	if err != nil {
		return fmt.Errorf("dismiss the janitor: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return j.wait(ctx)
}
