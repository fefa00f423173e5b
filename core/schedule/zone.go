package schedule

import (
	"strings"
	"time"
)

// maxZoneLength is well above the longest name in the zone database.
const maxZoneLength = 64

// zoneResult is a loaded zone, or why it could not be.
type zoneResult struct {
	loc          *time.Location
	reason, hint string
}

// locate sets the zone of c.
func (p *Parser) locate(c *Cron, zone string) error {
	found, ok := p.zones[zone]
	if !ok {
		found = loadZone(zone)
		if p.zones == nil {
			p.zones = make(map[string]zoneResult)
		}
		p.zones[zone] = found
	}
	if found.loc == nil {
		return &ParseError{Expr: c.expr, Field: nameZone, Reason: found.reason, Hint: found.hint}
	}
	c.loc = found.loc
	return nil
}

// loadZone finds a zone by its name in the IANA database. Names that depend on
// the host, or mean something else on another host, are refused.
func loadZone(name string) zoneResult {
	const example = "use a name such as Europe/Berlin or UTC"
	lower := strings.ToLower(name)
	switch {
	case name == "", name == "UTC":
		return zoneResult{loc: time.UTC}
	case len(name) > maxZoneLength:
		return zoneResult{reason: "zone " + quote(name) + " is too long", hint: example}
	case lower == "utc", lower == "z", lower == "zulu":
		return zoneResult{reason: "unknown zone " + quote(name), hint: "write UTC"}
	case lower == "local", lower == "localtime", lower == "posixrules", lower == "factory",
		strings.HasPrefix(lower, "posix/"), strings.HasPrefix(lower, "right/"):
		return zoneResult{reason: "zone " + quote(name) + " differs from host to host", hint: example}
	case isOffset(lower):
		return zoneResult{
			reason: "offset " + quote(name) + " is not a zone",
			hint:   "use the name of a place, such as Europe/Berlin, or Etc/GMT-2 for two hours ahead of UTC",
		}
	}
	loc, err := time.LoadLocation(name)
	if err != nil {
		hint := example
		if near := nearestZone(lower); near != "" {
			hint = "did you mean " + near + "?"
		}
		return zoneResult{reason: "unknown zone " + quote(name), hint: hint}
	}
	return zoneResult{loc: loc}
}

// isOffset reports whether the name reads as a distance from UTC.
func isOffset(lower string) bool {
	rest := strings.TrimPrefix(strings.TrimPrefix(lower, "utc"), "gmt")
	return rest != "" && strings.Trim(rest, "+-0123456789:") == ""
}

// nearestZone returns the best known zone that a mistyped name may mean, or "".
func nearestZone(lower string) string {
	lower = strings.ReplaceAll(lower, " ", "_")
	best, least := "", 4 // More than three slips are another name.
	for known := range strings.FieldsSeq(knownZones) {
		whole := strings.ToLower(known)
		city := whole[strings.LastIndexByte(whole, '/')+1:]
		d := distance(lower, whole)
		if lower == city || strings.HasSuffix(lower, "/"+city) {
			d = 0
		}
		if d < least && d < len(whole)/2 {
			best, least = known, d
		}
	}
	return best
}

// distance is the number of letters to insert, delete or replace to turn a into b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}

// knownZones are the names suggested for a mistyped one.
const knownZones = `UTC
Africa/Abidjan Africa/Accra Africa/Addis_Ababa Africa/Algiers Africa/Cairo Africa/Casablanca Africa/Dakar
Africa/Johannesburg Africa/Khartoum Africa/Kinshasa Africa/Lagos Africa/Maputo Africa/Nairobi Africa/Tripoli Africa/Tunis
America/Anchorage America/Argentina/Buenos_Aires America/Asuncion America/Bogota America/Caracas America/Chicago
America/Costa_Rica America/Denver America/Detroit America/Edmonton America/Guatemala America/Guayaquil America/Halifax
America/Havana America/Jamaica America/La_Paz America/Lima America/Los_Angeles America/Managua America/Mexico_City
America/Montevideo America/New_York America/Nuuk America/Panama America/Phoenix America/Puerto_Rico America/Regina
America/Santiago America/Santo_Domingo America/Sao_Paulo America/St_Johns America/Tijuana America/Toronto
America/Vancouver America/Winnipeg
Antarctica/Troll
Asia/Almaty Asia/Amman Asia/Baghdad Asia/Baku Asia/Bangkok Asia/Beirut Asia/Colombo Asia/Damascus Asia/Dhaka Asia/Dubai
Asia/Ho_Chi_Minh Asia/Hong_Kong Asia/Istanbul Asia/Jakarta Asia/Jerusalem Asia/Kabul Asia/Karachi Asia/Kathmandu
Asia/Kolkata Asia/Kuala_Lumpur Asia/Kuwait Asia/Manila Asia/Novosibirsk Asia/Qatar Asia/Riyadh Asia/Seoul Asia/Shanghai
Asia/Singapore Asia/Taipei Asia/Tashkent Asia/Tbilisi Asia/Tehran Asia/Tokyo Asia/Ulaanbaatar Asia/Vladivostok
Asia/Yangon Asia/Yekaterinburg Asia/Yerevan
Atlantic/Azores Atlantic/Bermuda Atlantic/Canary Atlantic/Cape_Verde Atlantic/Reykjavik
Australia/Adelaide Australia/Brisbane Australia/Darwin Australia/Hobart Australia/Lord_Howe Australia/Melbourne
Australia/Perth Australia/Sydney
Etc/GMT Etc/UTC
Europe/Amsterdam Europe/Athens Europe/Belgrade Europe/Berlin Europe/Bratislava Europe/Brussels Europe/Bucharest
Europe/Budapest Europe/Chisinau Europe/Copenhagen Europe/Dublin Europe/Helsinki Europe/Istanbul Europe/Kyiv
Europe/Lisbon Europe/Ljubljana Europe/London Europe/Luxembourg Europe/Madrid Europe/Malta Europe/Minsk Europe/Moscow
Europe/Oslo Europe/Paris Europe/Prague Europe/Riga Europe/Rome Europe/Sarajevo Europe/Skopje Europe/Sofia
Europe/Stockholm Europe/Tallinn Europe/Vienna Europe/Vilnius Europe/Warsaw Europe/Zagreb Europe/Zurich
Indian/Maldives Indian/Mauritius
Pacific/Apia Pacific/Auckland Pacific/Chatham Pacific/Fiji Pacific/Guam Pacific/Honolulu Pacific/Kiritimati
Pacific/Pago_Pago Pacific/Port_Moresby Pacific/Tongatapu`
