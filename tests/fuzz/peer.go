// SPDX-License-Identifier: LGPL-2.1-or-later

// Command peer is what a CA written in Go makes of what our readers accept:
// encoding/json with its rules (names of members folded by Unicode case, the
// last of several wins) and crypto/x509. Built as an archive for the
// differential fuzz targets. Each function says in words what differs.
package main

// #include <stdlib.h>
import "C"

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net"
	"sort"
	"strconv"
	"strings"
	"time"
	"unsafe"
)

func main() {}

func answer(err error) *C.char {
	if err == nil {
		return nil
	}
	return C.CString(err.Error())
}

func octets(data *C.char, n C.int) []byte {
	return C.GoBytes(unsafe.Pointer(data), n)
}

// A tree in one spelling: strings after their lengths, members sorted, a real
// number by its bits.
func dump(b *strings.Builder, v any) error {
	switch v := v.(type) {
	case nil:
		b.WriteByte('n')
	case bool:
		b.WriteString(map[bool]string{false: "f", true: "t"}[v])
	case string:
		fmt.Fprintf(b, "s%d:%s", len(v), v)
	case json.Number:
		return dumpNumber(b, string(v))
	case []any:
		b.WriteByte('[')
		for _, item := range v {
			if err := dump(b, item); err != nil {
				return err
			}
		}
		b.WriteByte(']')
	case map[string]any:
		names := make([]string, 0, len(v))
		for name := range v {
			names = append(names, name)
		}
		sort.Strings(names)
		b.WriteByte('{')
		for _, name := range names {
			fmt.Fprintf(b, "s%d:%s", len(name), name)
			if err := dump(b, v[name]); err != nil {
				return err
			}
		}
		b.WriteByte('}')
	}
	return nil
}

func dumpNumber(b *strings.Builder, text string) error {
	if strings.ContainsAny(text, ".eE") {
		f, err := strconv.ParseFloat(text, 64)
		fmt.Fprintf(b, "r%016x", math.Float64bits(f))
		return err
	}
	n, err := strconv.ParseInt(text, 10, 64)
	fmt.Fprintf(b, "i%d", n)
	return err
}

//export PeerTree
func PeerTree(text *C.char, n C.int, ours *C.char, nOurs C.int) *C.char {
	var v any
	var b strings.Builder
	d := json.NewDecoder(bytes.NewReader(octets(text, n)))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return answer(fmt.Errorf("Go cannot read it: %w", err))
	}
	if _, err := d.Token(); err != io.EOF {
		return answer(fmt.Errorf("Go sees more behind it"))
	}
	if err := dump(&b, v); err != nil {
		return answer(err)
	}
	if b.String() != string(octets(ours, nOurs)) {
		return answer(fmt.Errorf("Go reads %q", b.String()))
	}
	return nil
}

type header struct {
	Alg   string          `json:"alg"`
	Nonce string          `json:"nonce"`
	URL   string          `json:"url"`
	Kid   string          `json:"kid"`
	JWK   json.RawMessage `json:"jwk"`
	B64   json.RawMessage `json:"b64"`
	Crit  json.RawMessage `json:"crit"`
	Enc   json.RawMessage `json:"enc"`
	Zip   json.RawMessage `json:"zip"`
	JKU   json.RawMessage `json:"jku"`
	X5U   json.RawMessage `json:"x5u"`
	X5C   json.RawMessage `json:"x5c"`
}

type identifier struct {
	Type  string `json:"type"`
	Value string `json:"value"`
}

// Every member that any request of RFC 8555, RFC 9773 and the drafts has.
type payload struct {
	Identifiers []identifier    `json:"identifiers"`
	Profile     string          `json:"profile"`
	NotBefore   string          `json:"notBefore"`
	NotAfter    string          `json:"notAfter"`
	Replaces    string          `json:"replaces"`
	CSR         string          `json:"csr"`
	Certificate string          `json:"certificate"`
	Reason      *int            `json:"reason"`
	Status      string          `json:"status"`
	Contact     *[]string       `json:"contact"`
	Terms       *bool           `json:"termsOfServiceAgreed"`
	Only        *bool           `json:"onlyReturnExisting"`
	EAB         json.RawMessage `json:"externalAccountBinding"`
	Identifier  json.RawMessage `json:"identifier"`
	Protected   string          `json:"protected"`
	Payload     string          `json:"payload"`
	Signature   string          `json:"signature"`
	Account     string          `json:"account"`
	OldKey      json.RawMessage `json:"oldKey"`
}

// What we read: lines of a word and a value.
type lines map[string][]string

func readLines(text string) lines {
	l := lines{}
	for _, line := range strings.Split(text, "\n") {
		if word, value, ok := strings.Cut(line, " "); ok {
			l[word] = append(l[word], value)
		}
	}
	return l
}

func (l lines) one(word string) string {
	if len(l[word]) == 0 {
		return ""
	}
	return l[word][0]
}

func differ(what string, theirs, ours any) error {
	if t, o := fmt.Sprint(theirs), fmt.Sprint(ours); t != o {
		return fmt.Errorf("%s: Go reads %q, we %q", what, t, o)
	}
	return nil
}

func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func compareHeader(text []byte, ours lines) error {
	var h header
	if err := json.Unmarshal(text, &h); err != nil {
		return fmt.Errorf("header: %w", err)
	}
	for name, more := range map[string]json.RawMessage{
		"b64": h.B64, "crit": h.Crit, "enc": h.Enc, "zip": h.Zip,
		"jku": h.JKU, "x5u": h.X5U, "x5c": h.X5C} {
		if more != nil {
			return fmt.Errorf("header: Go finds %s", name)
		}
	}
	return first(
		differ("alg", h.Alg, ours.one("alg")),
		differ("nonce", h.Nonce, ours.one("nonce")),
		differ("url", h.URL, ours.one("url")),
		differ("kid", h.Kid, ours.one("kid")),
		differ("jwk", h.JWK != nil, ours.one("jwk") != ""))
}

// Seconds since 1970, a fraction counted as a whole one where `up` is.
func seconds(text string, up bool) (string, error) {
	if text == "" {
		return "0", nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return "", err
	}
	if up && t.Nanosecond() > 0 {
		t = t.Add(time.Second)
	}
	return strconv.FormatInt(t.Unix(), 10), nil
}

func (p *payload) takeOrder(ours lines) error {
	var names []string
	for _, id := range p.Identifiers {
		names = append(names, id.Type+":"+id.Value)
	}
	before, err := seconds(p.NotBefore, false)
	if err != nil {
		return err
	}
	after, err := seconds(p.NotAfter, true)
	if err != nil {
		return err
	}
	err = first(
		differ("identifiers", names, ours["name"]),
		differ("profile", p.Profile, ours.one("profile")),
		differ("replaces", p.Replaces, ours.one("replaces")),
		differ("notBefore", before, ours.one("notBefore")),
		differ("notAfter", after, ours.one("notAfter")))
	p.Identifiers, p.Profile, p.Replaces = nil, "", ""
	p.NotBefore, p.NotAfter = "", ""
	return err
}

func takeDER(text *string, certificate bool, ours lines) error {
	der, err := base64.RawURLEncoding.DecodeString(*text)
	*text = ""
	if err != nil {
		return err
	}
	return compareDER(der, certificate, ours)
}

// Takes away what this operation has; nothing may be left.
func (p *payload) take(ours lines) error {
	switch ours.one("op") {
	case "order":
		return p.takeOrder(ours)
	case "finalize":
		return takeDER(&p.CSR, false, ours)
	case "revoke":
		p.Reason = nil
		return takeDER(&p.Certificate, true, ours)
	case "lookup":
		p.Only, p.Terms, p.Contact = nil, nil, nil
	case "fetch":
		if p.Only != nil && !*p.Only {
			return fmt.Errorf("Go finds onlyReturnExisting false")
		}
		p.Only = nil
	}
	return nil
}

func comparePayload(text []byte, ours lines) error {
	var p payload
	if len(text) == 0 {
		return differ("operation", "fetch", ours.one("op"))
	}
	if err := json.Unmarshal(text, &p); err != nil {
		return fmt.Errorf("payload: %w", err)
	}
	if err := p.take(ours); err != nil {
		return err
	}
	left, err := json.Marshal(p)
	if err != nil {
		return err
	}
	nothing, err := json.Marshal(payload{})
	if err != nil {
		return err
	}
	return differ("left of the payload", string(left), string(nothing))
}

//export PeerRequest
func PeerRequest(head *C.char, nHead C.int, body *C.char, nBody C.int, ours *C.char) *C.char {
	l := readLines(C.GoString(ours))
	return answer(first(compareHeader(octets(head, nHead), l),
		comparePayload(octets(body, nBody), l)))
}

// As sets: how often a name stands there is not looked at.
func sorted(words []string) []string {
	set := map[string]bool{}
	for _, w := range words {
		set[w] = true
	}
	all := make([]string, 0, len(set))
	for w := range set {
		all = append(all, w)
	}
	sort.Strings(all)
	return all
}

func names(cn string, dns []string, ips []net.IP) []string {
	var all []string
	if ip := net.ParseIP(cn); ip != nil {
		all = append(all, "ip:"+ip.String())
	} else if cn != "" {
		all = append(all, "dns:"+cn)
	}
	for _, name := range dns {
		all = append(all, "dns:"+name)
	}
	for _, ip := range ips {
		all = append(all, "ip:"+ip.String())
	}
	return sorted(all)
}

func keyType(key any) string {
	switch key := key.(type) {
	case *ecdsa.PublicKey:
		return "ec " + key.Curve.Params().Name
	case *rsa.PublicKey:
		return fmt.Sprintf("rsa %d", key.N.BitLen())
	case ed25519.PublicKey:
		return "ed25519"
	}
	return fmt.Sprintf("%T", key)
}

// What we read without a word of CsrExtensions=.
var standard = map[string]bool{
	"2.5.29.17": true, "2.5.29.19": true, "2.5.29.15": true,
	"2.5.29.37": true, "1.3.6.1.5.5.7.1.24": true, "2.5.29.14": true,
}

// What Go refuses does no harm; how often that is, the seeds' test counts.
func compareDER(der []byte, certificate bool, ours lines) error {
	if certificate {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil
		}
		return first(
			differ("names", names(c.Subject.CommonName, c.DNSNames,
				c.IPAddresses), sorted(ours["name"])),
			differ("more names", len(c.EmailAddresses)+len(c.URIs), 0))
	}
	c, err := x509.ParseCertificateRequest(der)
	if err != nil || c.CheckSignature() != nil {
		return nil
	}
	var others []string
	for _, e := range c.Extensions {
		if !standard[e.Id.String()] {
			others = append(others, e.Id.String())
		}
	}
	return first(
		differ("version", c.Version, 0),
		differ("names", names(c.Subject.CommonName, c.DNSNames,
			c.IPAddresses), sorted(ours["name"])),
		differ("more names", len(c.EmailAddresses)+len(c.URIs), 0),
		differ("key", keyType(c.PublicKey), ours.one("key")),
		differ("other extensions", sorted(others), sorted(ours["ext"])))
}

//export PeerDER
func PeerDER(der *C.char, n C.int, certificate C.int, ours *C.char) *C.char {
	return answer(compareDER(octets(der, n), certificate != 0,
		readLines(C.GoString(ours))))
}

// PeerReads says whether Go takes it at all: 1 if so.
//
//export PeerReads
func PeerReads(der *C.char, n C.int, certificate C.int) C.int {
	var err error
	if certificate != 0 {
		_, err = x509.ParseCertificate(octets(der, n))
	} else {
		_, err = x509.ParseCertificateRequest(octets(der, n))
	}
	if err != nil {
		return 0
	}
	return 1
}
