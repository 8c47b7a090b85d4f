package source

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// partSuffix marks a file that is not complete.
const partSuffix = ".part"

// download brings one file here.
type download struct {
	web  *web
	file *File
	path string
	step func(n int64) // bytes more, or fewer

	part *os.File
	have uint64 // bytes of part, all of them in sums
	sum  hash.Hash
}

// run goes on with the file until it is complete and verified. A digest that is wrong
// in the end is given one more try from the start: what an earlier run left may have
// been damaged since.
func (d *download) run(ctx context.Context) error {
	if d.file.Local != "" {
		d.step(int64(d.file.Size))
		return nil
	}
	if info, err := os.Stat(d.path); err == nil && uint64(info.Size()) == d.file.Size {
		d.file.Local = d.path // it was verified before it got its name
		d.step(int64(d.file.Size))
		return nil
	}
	if err := d.open(); err != nil {
		return err
	}
	defer func() { d.part.Close() }()
	resumed := d.have > 0
	err := d.complete(ctx)
	var wrong *DigestError
	if errors.As(err, &wrong) && resumed {
		if err := d.restart(); err != nil {
			return err
		}
		err = d.complete(ctx)
	}
	if err != nil {
		return err
	}
	if err := d.part.Sync(); err != nil {
		return err
	}
	if err := os.Rename(d.path+partSuffix, d.path); err != nil {
		return err
	}
	d.file.Local = d.path
	return nil
}

// open takes up what an earlier run left, where the source says that it is still the
// same file.
func (d *download) open() (err error) {
	if err := os.MkdirAll(filepath.Dir(d.path), 0o700); err != nil {
		return err
	}
	if d.part, err = os.OpenFile(d.path+partSuffix, os.O_CREATE|os.O_RDWR, 0o600); err != nil {
		return err
	}
	d.sum = d.newSum()
	info, err := d.part.Stat()
	if err != nil {
		return err
	}
	size := uint64(info.Size())
	if size > d.file.Size || !d.file.pinned && d.file.validator == "" && d.file.SHA256 == "" {
		return d.restart()
	}
	if _, err := io.Copy(d.sum, d.part); err != nil {
		return err
	}
	d.have = size
	d.step(int64(size))
	return nil
}

// restart forgets all bytes.
func (d *download) restart() error {
	d.step(-int64(d.have))
	d.have, d.sum = 0, d.newSum()
	if err := d.part.Truncate(0); err != nil {
		return err
	}
	_, err := d.part.Seek(0, io.SeekStart)
	return err
}

// newSum hashes as the source does: a git blob is named by its length and bytes.
func (d *download) newSum() hash.Hash {
	if d.file.SHA256 == "" && d.file.git != "" {
		h := sha1.New()
		fmt.Fprintf(h, "blob %d\x00", d.file.Size)
		return h
	}
	return sha256.New()
}

// complete fetches until all bytes are here, and verifies them. It gives up after some
// tries in a row that brought nothing.
func (d *download) complete(ctx context.Context) error {
	for failed := 0; d.have < d.file.Size; {
		before := d.have
		err := d.once(ctx)
		if err == nil {
			break
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !temporary(err) {
			return err
		}
		if d.have > before {
			failed = 0
		}
		if failed++; failed >= maxTries {
			return fmt.Errorf("%w; gave up after %d tries with %d of %d bytes of %s here; run the same command again to go on from there",
				err, failed, d.have, d.file.Size, d.file.Path)
		}
		if err := pause(ctx, failed, err); err != nil {
			return err
		}
	}
	return d.verify()
}

// once asks for what is missing and takes what comes.
func (d *download) once(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watch := time.AfterFunc(2*time.Minute, func() { cancel(errStalled) }) // until the answer begins
	defer watch.Stop()
	header := http.Header{}
	if d.have > 0 {
		header.Set("Range", fmt.Sprintf("bytes=%d-", d.have))
		if d.file.validator != "" {
			header.Set("If-Range", d.file.validator)
		}
	}
	resp, err := d.web.get(ctx, d.file.url, header)
	if err != nil {
		return stalled(ctx, err)
	}
	defer resp.Body.Close()
	if err := d.begin(resp); err != nil {
		return err
	}
	watch.Reset(d.web.stall)
	return stalled(ctx, d.take(resp, func() { watch.Reset(d.web.stall) }))
}

// stalled tells a download that gave nothing from one that was called off.
func stalled(ctx context.Context, err error) error {
	if err != nil && errors.Is(context.Cause(ctx), errStalled) {
		return &networkError{host: "download", err: errStalled}
	}
	return err
}

// begin decides what an answer means for the bytes that are here.
func (d *download) begin(resp *http.Response) error {
	if err := checkContent(d.file, resp.Header); err != nil {
		return err
	}
	if !d.file.pinned && d.file.validator != "" && validator(resp.Header) != d.file.validator && resp.StatusCode != http.StatusRequestedRangeNotSatisfiable {
		return fmt.Errorf("%s: changed at its source while it was fetched; run the same command again", shown(d.file.url))
	}
	switch resp.StatusCode {
	case http.StatusRequestedRangeNotSatisfiable:
		if d.have == 0 {
			return fmt.Errorf("%s: is empty at its source, and should have %d bytes", shown(d.file.url), d.file.Size)
		}
		if err := d.restart(); err != nil {
			return err
		}
		return &networkError{host: resp.Request.URL.Host, err: fmt.Errorf("has no byte %d of %s", d.have, d.file.Path)}
	case http.StatusPartialContent:
		from, total, ok := contentRange(resp)
		if !ok || from != d.have {
			return fmt.Errorf("%s: the server was asked for byte %d and answers with %q", shown(d.file.url), d.have, clip(resp.Header.Get("Content-Range")))
		}
		if total != 0 && total != d.file.Size {
			return d.sizeError(total)
		}
	default: // the whole, whatever was asked for
		if resp.ContentLength >= 0 && uint64(resp.ContentLength) != d.file.Size {
			return d.sizeError(uint64(resp.ContentLength))
		}
		if d.have > 0 {
			return d.restart()
		}
	}
	return nil
}

func (d *download) sizeError(got uint64) error {
	return fmt.Errorf("%s: has %d bytes, the source announced %d; it changed, or is served incompletely", shown(d.file.url), got, d.file.Size)
}

// take writes and hashes what comes, one byte more than is due at most.
func (d *download) take(resp *http.Response, came func()) error {
	buf := make([]byte, 256<<10)
	for {
		n, err := resp.Body.Read(buf)
		if n > 0 {
			came()
		}
		if uint64(n) > d.file.Size-d.have {
			return d.sizeError(d.have + uint64(n))
		}
		if _, werr := d.part.Write(buf[:n]); werr != nil {
			return fmt.Errorf("%w; make room, then run the same command again", werr)
		}
		d.sum.Write(buf[:n])
		d.have += uint64(n)
		d.step(int64(n))
		switch {
		case d.have == d.file.Size && (err == nil || errors.Is(err, io.EOF)):
			if err == nil {
				continue // is that all?
			}
			return nil
		case errors.Is(err, io.EOF):
			return &networkError{host: resp.Request.URL.Host, err: io.ErrUnexpectedEOF}
		case err != nil:
			return &networkError{host: resp.Request.URL.Host, err: err}
		}
	}
}

// DigestError says that a file is not what its source announced.
type DigestError struct{ File, Got, Want string }

// Error names both digests.
func (e *DigestError) Error() string {
	return fmt.Sprintf("%s: its digest is %s, the source says %s; it was damaged on the way or replaced, and is not used", e.File, e.Got, e.Want)
}

// verify compares the digest with what the source said, where it said one.
func (d *download) verify() error {
	want := d.file.SHA256
	if want == "" {
		want = d.file.git
	}
	got := hex.EncodeToString(d.sum.Sum(nil))
	if want == "" {
		return nil
	}
	if got != want {
		err := &DigestError{File: d.file.Path, Got: got, Want: want}
		return errors.Join(err, d.restart()) // the next run begins anew
	}
	return nil
}
