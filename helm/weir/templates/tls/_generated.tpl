{{/*
Certificates made by Helm, and kept: what a Secret holds already is written again as it is, so an upgrade changes no key. A
certificate is made anew when it is older than renewAfterDays, when `rotation` says another word than it was made with, or when
its authority is not the one at hand: that is the first of its ca.crt, where those of alsoTrust follow.

Keys are ECDSA (P-256): each handshake costs a signature, and with RSA a small board takes long over it.

Result, as YAML: `authority` (crt, key), `trusted` (what ca.crt holds), and `peers` by the name of the Secret (crt, key, issued, rotation).
*/}}
{{- define "weir.generated" -}}
{{- $root := . -}}
{{- $want := .Values.tls.generate -}}
{{- $now := int64 (now | unixEpoch) -}}
{{- $authorityName := printf "%s-authority" (include "weir.fullname" .) -}}
{{- $found := (lookup "v1" "Secret" .Release.Namespace $authorityName).data | default dict -}}
{{- $authority := dict -}}
{{- if and (index $found "tls.crt") (index $found "tls.key") -}}
{{- $authority = dict "crt" (index $found "tls.crt") "key" (index $found "tls.key") -}}
{{- else -}}
{{- $made := genCAWithKey (printf "%s private authority" (include "weir.fullname" .)) (int $want.authorityDays) (genPrivateKey "ecdsa") -}}
{{- $authority = dict "crt" ($made.Cert | b64enc) "key" ($made.Key | b64enc) -}}
{{- end -}}
{{- $issuer := buildCustomCert $authority.crt $authority.key -}}
{{- $wanted := dict (include "weir.orchestrator.secret" .) (printf "%s.orchestrator.weir.internal" .Values.orchestrator.name) -}}
{{- range include "weir.pools" . | fromJson -}}
{{- $pool := . -}}
{{- range $pool.names -}}
{{- $_ := set $wanted (include "weir.worker.secret" (list $root $pool .)) (printf "%s.worker.weir.internal" .worker) -}}
{{- end -}}
{{- end -}}
{{- $peers := dict -}}
{{- range $secret, $name := $wanted -}}
{{- $kept := lookup "v1" "Secret" $root.Release.Namespace $secret -}}
{{- $data := $kept.data | default dict -}}
{{- $notes := ($kept.metadata | default dict).annotations | default dict -}}
{{- $issued := index $notes "weir.internal/issued-at" | default "0" | int64 -}}
{{- $young := lt (sub $now $issued) (mul 86400 (int64 $want.renewAfterDays)) -}}
{{- $ours := hasPrefix (b64dec $authority.crt) (index $data "ca.crt" | default "" | b64dec) -}}
{{- $whole := and (index $data "tls.crt") (index $data "tls.key") $ours -}}
{{- $meant := and (eq (index $notes "weir.internal/rotation" | default "") $want.rotation) (eq (index $notes "weir.internal/peer" | default "") $name) -}}
{{- if and $young $whole $meant -}}
{{- $_ := set $peers $secret (dict "crt" (index $data "tls.crt") "key" (index $data "tls.key") "issued" (toString $issued) "peer" $name) -}}
{{- else -}}
{{- $label := first (splitList "." $name) -}}
{{- $made := genSignedCertWithKey $label nil (list $name) (int $want.days) $issuer (genPrivateKey "ecdsa") -}}
{{- $_ := set $peers $secret (dict "crt" ($made.Cert | b64enc) "key" ($made.Key | b64enc) "issued" (toString $now) "peer" $name) -}}
{{- end -}}
{{- end -}}
{{- $trusted := print (b64dec $authority.crt | trimSuffix "\n") "\n" $want.alsoTrust | b64enc -}}
{{- dict "authority" $authority "trusted" $trusted "peers" $peers | toJson -}}
{{- end -}}
