{{/* Certificates by cert-manager's CSI driver, of a list (root, DNS name): a key of its own for each pod, which never leaves the node. */}}
{{- define "weir.csi" -}}
{{- $root := index . 0 -}}
{{- $issuer := $root.Values.tls.csi.issuerRef -}}
csi:
  driver: csi.cert-manager.io
  readOnly: true
  volumeAttributes:
    csi.cert-manager.io/issuer-name: {{ $issuer.name | quote }}
    csi.cert-manager.io/issuer-kind: {{ $issuer.kind | quote }}
    csi.cert-manager.io/issuer-group: {{ $issuer.group | quote }}
    csi.cert-manager.io/dns-names: {{ index . 1 | quote }}
    csi.cert-manager.io/duration: {{ $root.Values.tls.csi.duration | quote }}
    csi.cert-manager.io/key-usages: digital signature,client auth,server auth
    csi.cert-manager.io/key-encoding: PKCS8
    csi.cert-manager.io/fs-group: {{ int64 $root.Values.security.pod.fsGroup | quote }}
{{- end -}}

{{/* The volume with the orchestrator's certificate. */}}
{{- define "weir.orchestrator.tls" -}}
{{- if eq .Values.tls.mode "csi" -}}
{{ include "weir.csi" (list . (printf "%s.orchestrator.weir.internal" .Values.orchestrator.name)) }}
{{- else -}}
secret:
  secretName: {{ include "weir.orchestrator.secret" . }}
  defaultMode: 0440
{{- end -}}
{{- end -}}

{{/*
The volume with the certificates of a pool, of a list (root, pool). One template makes all pods of the pool, so they all mount
the same volume: a folder for each worker, of which each reads its own. A Secret that is not there yet must not keep the
other workers from starting, so it is optional; the worker that it is for says that its file is missing.
*/}}
{{- define "weir.worker.tls" -}}
{{- $root := index . 0 -}}
{{- $pool := index . 1 -}}
{{- if eq $root.Values.tls.mode "csi" -}}
{{ include "weir.csi" (list $root "${POD_NAME}.worker.weir.internal") }}
{{- else -}}
projected:
  defaultMode: 0440
  sources:
    {{- range $pool.names }}
    - secret:
        name: {{ include "weir.worker.secret" (list $root $pool .) }}
        optional: true
        items:
          - { key: ca.crt, path: {{ .pod }}/ca.crt }
          - { key: tls.crt, path: {{ .pod }}/tls.crt }
          - { key: tls.key, path: {{ .pod }}/tls.key }
    {{- end }}
{{- end -}}
{{- end -}}
