package demo

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// The control sequences that every terminal since the VT100 knows, and the alternate screen.
const (
	enterScreen = "\x1b[?1049h\x1b[?25l\x1b[2J\x1b[H"
	leaveScreen = "\x1b[0m\x1b[?25h\x1b[?1049l"
	clearLine   = "\x1b[K"
	clearBelow  = "\x1b[J"
	resetStyle  = "\x1b[0m"
)

var styleCodes = map[Style]string{Heading: "\x1b[1m", Dim: "\x1b[2m", Good: "\x1b[32m", Bad: "\x1b[31m", Marked: "\x1b[36m"}

// terminalState is a terminal's mode, to be restored.
type terminalState struct {
	fd    int
	saved unix.Termios
}

// readTerminal remembers the mode of a terminal; nil if the file is none.
func readTerminal(f *os.File) *terminalState {
	t, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	if err != nil {
		return nil
	}
	return &terminalState{int(f.Fd()), *t}
}

// raw has the terminal deliver every key at once, without echo and without signals. Output is processed as before.
func (t *terminalState) raw() error {
	r := t.saved
	r.Iflag &^= unix.BRKINT | unix.ICRNL | unix.INPCK | unix.ISTRIP | unix.IXON
	r.Lflag &^= unix.ECHO | unix.ICANON | unix.IEXTEN | unix.ISIG
	r.Cc[unix.VMIN], r.Cc[unix.VTIME] = 1, 0
	if err := unix.IoctlSetTermios(t.fd, unix.TCSETS, &r); err != nil {
		return fmt.Errorf("set the terminal to raw mode: %w", err)
	}
	return nil
}

func (t *terminalState) restore() error {
	if err := unix.IoctlSetTermios(t.fd, unix.TCSETSF, &t.saved); err != nil {
		return fmt.Errorf("restore the terminal: %w", err)
	}
	return nil
}

// windowSize asks the terminal, then the environment, then assumes 80 by 24.
func windowSize(f *os.File) (width, height int) {
	if ws, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ); err == nil && ws.Col > 0 && ws.Row > 0 {
		return int(ws.Col), int(ws.Row)
	}
	width, height = 80, 24
	if n, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && n > 0 {
		width = n
	}
	if n, err := strconv.Atoi(os.Getenv("LINES")); err == nil && n > 0 {
		height = n
	}
	return width, height
}

// canPaint tells whether the view can be drawn: both ends are a terminal, and it is not a dumb one.
func canPaint(in, out *os.File) bool {
	name := os.Getenv("TERM")
	return name != "" && name != "dumb" && readTerminal(in) != nil && readTerminal(out) != nil
}

// screen draws lines on a terminal.
type screen struct {
	out    *os.File
	colour bool
	buffer bytes.Buffer
}

// draw paints a whole picture with one write, over the one before: nothing flickers. The last line ends without a
// newline, or the terminal would scroll.
func (s *screen) draw(lines []Line) error {
	b := &s.buffer
	b.Reset()
	b.WriteString("\x1b[H")
	for i, l := range lines {
		if i > 0 {
			b.WriteString("\r\n")
		}
		code := styleCodes[l.Style]
		if !s.colour || l.Text == "" {
			code = ""
		}
		b.WriteString(code)
		b.WriteString(l.Text)
		if code != "" {
			b.WriteString(resetStyle)
		}
		b.WriteString(clearLine)
	}
	b.WriteString(clearBelow)
	if _, err := s.out.Write(b.Bytes()); err != nil {
		return fmt.Errorf("draw: %w", err)
	}
	return nil
}

// reader delivers what is typed, and can be ended although nothing is typed.
type reader struct {
	in   *os.File
	wake [2]int // a pipe
}

func newReader(in *os.File) (*reader, error) {
	r := &reader{in: in}
	if err := unix.Pipe2(r.wake[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return nil, fmt.Errorf("prepare to read keys: %w", err)
	}
	return r, nil
}

// run calls got with every piece of input until end is called (nil), or the terminal is gone (an error).
func (r *reader) run(got func([]byte)) error {
	buffer := make([]byte, 256)
	for {
		fds := []unix.PollFd{{Fd: int32(r.in.Fd()), Events: unix.POLLIN}, {Fd: int32(r.wake[0]), Events: unix.POLLIN}}
		if _, err := unix.Poll(fds, -1); err != nil {
			if errors.Is(err, unix.EINTR) {
				continue
			}
			return fmt.Errorf("wait for a key: %w", err)
		}
		if fds[1].Revents != 0 {
			return nil
		}
		n, err := unix.Read(int(r.in.Fd()), buffer)
		switch {
		case errors.Is(err, unix.EINTR) || errors.Is(err, unix.EAGAIN):
		case err != nil:
			return fmt.Errorf("read a key: %w", err)
		case n == 0:
			return errors.New("read a key: the terminal is gone")
		default:
			got(buffer[:n])
		}
	}
}

// end makes run return. close may be called once run has.
func (r *reader) end() error {
	_, err := unix.Write(r.wake[1], []byte{0})
	return err
}

func (r *reader) close() error { return errors.Join(unix.Close(r.wake[0]), unix.Close(r.wake[1])) }
