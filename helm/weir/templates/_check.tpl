{{/* What a schema cannot say. Each message names the value and what to do. */}}
{{- define "weir.check" -}}
{{- $root := . -}}
{{- $pools := include "weir.pools" . | fromJson -}}
{{- if not $pools -}}
{{- fail "workers.pools: there is no pool; name at least one" -}}
{{- end -}}
{{- if and (eq .Values.orchestrator.planner "balanced") .Values.orchestrator.policy -}}
{{- fail "orchestrator.policy: it is for orchestrator.planner=adaptive; leave one of them out" -}}
{{- end -}}
{{- if and (not .Values.network.volume) (hasPrefix "/models/" .Values.network.weights) -}}
{{- if not .Values.orchestrator.extraVolumeMounts -}}
{{- fail (printf "network.volume: nothing is mounted at /models, where network.weights (%s) is; name a volume" .Values.network.weights) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.orchestrator.service.nodePort (eq .Values.orchestrator.service.type "ClusterIP") -}}
{{- fail "orchestrator.service.nodePort: it is for type NodePort or LoadBalancer; set it to null" -}}
{{- end -}}
{{- if and .Values.orchestrator.service.loadBalancerSourceRanges (ne .Values.orchestrator.service.type "LoadBalancer") -}}
{{- fail "orchestrator.service.loadBalancerSourceRanges: it is for type LoadBalancer; use networkPolicy.inferenceFrom" -}}
{{- end -}}
{{- with .Values.orchestrator.admin.tokens -}}
{{- if and .secret (not .adminKey) (not .viewerKey) -}}
{{- fail "orchestrator.admin.tokens.adminKey: it and viewerKey are empty, so nobody could be let in; name a key of the Secret" -}}
{{- end -}}
{{- if and .secret (eq .adminKey .viewerKey) -}}
{{- fail "orchestrator.admin.tokens.viewerKey: it is the same as adminKey, so viewers could change everything; name another key" -}}
{{- end -}}
{{- end -}}
{{- if and (eq .Values.tls.mode "csi") (not .Values.tls.csi.issuerRef.name) -}}
{{- fail "tls.csi.issuerRef.name: it is empty; name the cert-manager issuer that signs pods' certificates" -}}
{{- end -}}
{{- if and (eq .Values.tls.mode "generate") (ge (int .Values.tls.generate.renewAfterDays) (int .Values.tls.generate.days)) -}}
{{- fail "tls.generate.renewAfterDays: certificates would run out before they are renewed; make it smaller than tls.generate.days" -}}
{{- end -}}
{{- if and (eq .Values.tls.mode "existingSecret") (not (contains "{worker}" .Values.tls.existingSecret.workers)) -}}
{{- fail "tls.existingSecret.workers: without {worker} in it all workers would share a certificate; write for example {worker}-tls" -}}
{{- end -}}
{{- $owner := dict -}}
{{- range $name, $pool := $pools -}}
{{- $where := printf "workers.pools.%s" $name -}}
{{- if eq $name "orchestrator" -}}
{{- fail (printf "%s: that name is taken; call the pool something else" $where) -}}
{{- end -}}
{{- if eq $pool.kind "DaemonSet" -}}
{{- if and (not $pool.nodes) (ne $root.Values.tls.mode "csi") -}}
{{- fail (printf "%s.nodes: a DaemonSet needs the names of its nodes, for each worker's certificate is made for its node; list them, or use tls.mode=csi" $where) -}}
{{- end -}}
{{- if $pool.cache.persistent -}}
{{- fail (printf "%s.cache.persistent: the pods of a DaemonSet have no volume claims of their own; set it to false" $where) -}}
{{- end -}}
{{- if $pool.autoscaling.enabled -}}
{{- fail (printf "%s.autoscaling.enabled: a DaemonSet has a pod on each node and is not scaled; set it to false" $where) -}}
{{- end -}}
{{- else if $pool.nodes -}}
{{- fail (printf "%s.nodes: they are for kind DaemonSet; use nodeSelector" $where) -}}
{{- end -}}
{{- if and $pool.autoscaling.enabled (not $pool.autoscaling.metrics) -}}
{{- fail (printf "%s.autoscaling.metrics: there is none to scale by" $where) -}}
{{- end -}}
{{- if and $pool.autoscaling.enabled (gt (int $pool.autoscaling.minReplicas) (int $pool.autoscaling.maxReplicas)) -}}
{{- fail (printf "%s.autoscaling.minReplicas: it is more than maxReplicas" $where) -}}
{{- end -}}
{{- if gt (float64 $pool.power.idleWatts) (float64 $pool.power.maxWatts) -}}
{{- fail (printf "%s.power.idleWatts: it is more than maxWatts" $where) -}}
{{- end -}}
{{- range $pool.names -}}
{{- if hasKey $owner .worker -}}
{{- fail (printf "%s: its worker %s and one of %s would have the same name" $where .worker (index $owner .worker)) -}}
{{- end -}}
{{- $_ := set $owner .worker $where -}}
{{- end -}}
{{- end -}}
{{- include "weir.check.secrets" . -}}
{{- include "weir.check.tokens" . -}}
{{- end -}}

{{/* As below, for the tokens of the admin API. */}}
{{- define "weir.check.tokens" -}}
{{- $root := . -}}
{{- $tokens := .Values.orchestrator.admin.tokens -}}
{{- if and $tokens.secret (lookup "v1" "ConfigMap" .Release.Namespace "kube-root-ca.crt") -}}
{{- $found := (lookup "v1" "Secret" .Release.Namespace $tokens.secret).data -}}
{{- range $field, $key := dict "adminKey" $tokens.adminKey "viewerKey" $tokens.viewerKey -}}
{{- if and $key (not (index (default dict $found) $key)) -}}
{{- fail (printf "orchestrator.admin.tokens.%s: there is no Secret %s with a key %s in namespace %s; make it, or leave the key empty" $field $tokens.secret $key $root.Release.Namespace) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Every namespace has the ConfigMap kube-root-ca.crt, so where it is not to be seen nobody can be asked. */}}
{{- define "weir.check.secrets" -}}
{{- $root := . -}}
{{- if and (eq .Values.tls.mode "existingSecret") .Values.tls.existingSecret.check (lookup "v1" "ConfigMap" .Release.Namespace "kube-root-ca.crt") -}}
{{- $wanted := dict (include "weir.orchestrator.secret" .) "tls.existingSecret.orchestrator" -}}
{{- range include "weir.pools" . | fromJson -}}
{{- $pool := . -}}
{{- range $pool.names -}}{{- $_ := set $wanted (include "weir.worker.secret" (list $root $pool .)) "tls.existingSecret.workers" -}}{{- end -}}
{{- end -}}
{{- range $secret, $field := $wanted -}}
{{- $found := (lookup "v1" "Secret" $root.Release.Namespace $secret).data -}}
{{- if not $found -}}
{{- fail (printf "%s: there is no Secret %s in namespace %s; make it (docs/kubernetes.md), or set tls.existingSecret.check=false if it will come later" $field $secret $root.Release.Namespace) -}}
{{- end -}}
{{- range list "ca.crt" "tls.crt" "tls.key" -}}
{{- if not (index $found .) -}}
{{- fail (printf "%s: the Secret %s has no %s; it needs ca.crt, tls.crt and tls.key" $field $secret .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
