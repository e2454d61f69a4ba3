package log

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
)

const (
	frameHead = 44 // bytes before the payload
	// maxPayload bounds what a damaged length can make a reader believe.
	maxPayload = 64 << 20

	offLength, offSum, offPrev, offNumber, offSeq, offWall, offKind, offSchema = 4, 8, 12, 16, 24, 32, 40, 41
)

var (
	// marker begins every frame. It holds bytes that no JSON text contains, so a payload never looks like a frame.
	marker     = []byte{'R', 'g', 0x01, 0xE7}
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
)

// Why a frame cannot be read.
var (
	errShort    = errors.New("the bytes end in the middle of a record")
	errMarker   = errors.New("no record begins here")
	errLength   = errors.New("impossible length")
	errChecksum = errors.New("the checksum does not match")
	errFormat   = errors.New("the segment has format")
)

// frame is a record with the checksums that tie it into the chain.
type frame struct {
	Record
	prev, sum uint32
	size      int // bytes, as it lies on disk
}

// appendFrame writes the record after the one with the checksum prev, and returns its own checksum.
func appendFrame(b []byte, r *Record, payload []byte, prev uint32) ([]byte, uint32) {
	start := len(b)
	le := binary.LittleEndian
	b = append(b, marker...)
	b = le.AppendUint32(b, uint32(len(payload)))
	b = le.AppendUint32(b, 0)
	b = le.AppendUint32(b, prev)
	b = le.AppendUint64(b, r.Number)
	b = le.AppendUint64(b, r.Seq)
	b = le.AppendUint64(b, uint64(r.Wall))
	b = append(b, byte(r.Kind), schema, 0, 0)
	b = append(b, payload...)
	sum := checksum(b[start:])
	le.PutUint32(b[start+offSum:], sum)
	return b, sum
}

func checksum(f []byte) uint32 {
	return crc32.Update(crc32.Checksum(f[offLength:offSum], castagnoli), castagnoli, f[offPrev:])
}

// parseFrame reads the frame at the beginning of b. The payload refers to b.
func parseFrame(b []byte) (frame, error) {
	if !bytes.HasPrefix(b, marker[:min(len(b), len(marker))]) {
		return frame{}, errMarker
	}
	if len(b) < frameHead {
		return frame{}, errShort
	}
	le := binary.LittleEndian
	length := le.Uint32(b[offLength:])
	if length > maxPayload {
		return frame{}, errLength
	}
	size := frameHead + int(length)
	if len(b) < size {
		return frame{}, errShort
	}
	f := frame{prev: le.Uint32(b[offPrev:]), sum: le.Uint32(b[offSum:]), size: size}
	if checksum(b[:size]) != f.sum {
		return frame{}, errChecksum
	}
	f.Record = Record{
		Number: le.Uint64(b[offNumber:]), Seq: le.Uint64(b[offSeq:]), Wall: int64(le.Uint64(b[offWall:])),
		Kind: Kind(b[offKind]), Payload: b[frameHead:size:size], schema: b[offSchema],
	}
	return f, nil
}

// findFrame returns the offset of the first sound frame at or after from, -1 if there is none.
func findFrame(b []byte, from int) int {
	for from < len(b) {
		i := bytes.Index(b[from:], marker)
		if i < 0 {
			return -1
		}
		from += i
		if _, err := parseFrame(b[from:]); err == nil {
			return from
		}
		from++
	}
	return -1
}

// magic begins every segment.
var magic = []byte("regentEL")

const (
	format     = 1
	headerHead = 16 // magic, length, checksum
	maxHeader  = 64 << 10
)

// Header is what the beginning of a segment tells.
type Header struct {
	Format  int    `json:"format"`
	Version string `json:"version"` // of regent
	Member  string `json:"member"`
	Scope   string `json:"scope"`
	Created string `json:"created"` // RFC 3339
	// First is the number of the segment's first record, Prev the checksum of the record before it.
	First uint64 `json:"first"`
	Prev  uint32 `json:"prev"`
}

func (h *Header) encode() ([]byte, error) {
	text, err := json.Marshal(h)
	if err != nil {
		return nil, fmt.Errorf("encode header: %w", err)
	}
	text = append(text, '\n') // for whoever looks at the file with head
	b := append([]byte(nil), magic...)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(text)))
	b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(text, castagnoli))
	return append(b, text...), nil
}

// parseHeader reads a segment's header and returns its size in bytes.
func parseHeader(b []byte) (Header, int, error) {
	var h Header
	if !bytes.HasPrefix(b, magic[:min(len(b), len(magic))]) {
		return h, 0, errors.New("the file is no segment of an event log")
	}
	if len(b) < headerHead {
		return h, 0, errShort
	}
	length := binary.LittleEndian.Uint32(b[8:])
	if length > maxHeader {
		return h, 0, errLength
	}
	size := headerHead + int(length)
	if len(b) < size {
		return h, 0, errShort
	}
	text := b[headerHead:size]
	if crc32.Checksum(text, castagnoli) != binary.LittleEndian.Uint32(b[12:]) {
		return h, 0, errChecksum
	}
	if err := json.Unmarshal(text, &h); err != nil {
		return h, 0, err
	}
	if h.Format != format {
		return h, 0, fmt.Errorf("%w %d, this version of regent reads %d", errFormat, h.Format, format)
	}
	return h, size, nil
}
