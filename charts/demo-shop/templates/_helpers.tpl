{{- define "shop.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- /* 40 characters leave room for a role's name and a pod's hash. */ -}}
{{- define "shop.fullname" -}}
{{- default .Release.Name .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "shop.selectorLabels" -}}
app.kubernetes.io/name: {{ include "shop.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "shop.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name (.Chart.Version | replace "+" "_") }}
{{ include "shop.selectorLabels" . }}
app.kubernetes.io/part-of: {{ include "shop.fullname" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- /* (dict "context" $ "image" "shop") */ -}}
{{- define "shop.image" -}}
{{- $image := index .context.Values.images .image -}}
{{- if $image.digest -}}
{{ $image.repository }}@{{ $image.digest }}
{{- else -}}
{{ $image.repository }}:{{ default .context.Chart.AppVersion $image.tag }}
{{- end -}}
{{- end -}}

{{- define "shop.secretName" -}}
{{- default (printf "%s-secrets" (include "shop.fullname" .)) .Values.secrets.existingSecret -}}
{{- end -}}

{{- /* Who needs what: stores, and the roles that are called. Network policies follow from the same table. */ -}}
{{- define "shop.needs" -}}
gateway: {postgres: false, redis: false, calls: [catalog, cart, checkout, inventory, recommendations, pricing]}
catalog: {postgres: true, redis: true, calls: []}
cart: {postgres: false, redis: true, calls: []}
checkout: {postgres: true, redis: true, calls: [inventory, payment, pricing]}
inventory: {postgres: true, redis: false, calls: []}
payment: {postgres: true, redis: false, calls: []}
recommendations: {postgres: true, redis: false, calls: []}
pricing: {postgres: true, redis: true, calls: []}
{{- end -}}

{{- define "shop.databaseHosts" -}}
{{- $name := include "shop.fullname" . -}}
{{- $hosts := list -}}
{{- range until (int .Values.postgres.members) -}}
{{- $hosts = append $hosts (printf "%s-postgres-%d.%s-postgres:5432" $name . $name) -}}
{{- end -}}
{{- join "," $hosts -}}
{{- end -}}

{{- define "shop.databaseEnvironment" -}}
- name: SHOP_DATABASE_HOSTS
  value: {{ include "shop.databaseHosts" . | quote }}
- name: SHOP_DATABASE_NAME
  value: shop
- name: SHOP_DATABASE_USER
  value: shop
- name: SHOP_DATABASE_PASSWORD_FILE
  value: /etc/shop/secrets/database-password
- name: SHOP_DATABASE_POOL_SIZE
  value: {{ .Values.shop.databasePoolSize | quote }}
{{- end -}}

{{- /* Secrets as files: (dict "context" $ "keys" (list …)) */ -}}
{{- define "shop.secretVolume" -}}
- name: secrets
  secret:
    secretName: {{ include "shop.secretName" .context | quote }}
    defaultMode: 0440
    items:
      {{- range .keys }}
      - key: {{ . }}
        path: {{ . }}
      {{- end }}
{{- end -}}

{{- /* (dict "context" $ "user" 10001 "nodeSelector" dict), the last one beside the chart's own */ -}}
{{- define "shop.podBasics" -}}
automountServiceAccountToken: false
{{- with .context.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: {{ .user }}
  runAsGroup: {{ .user }}
  fsGroup: {{ .user }}
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
{{- with .context.Values.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- with merge (deepCopy (default dict .nodeSelector)) .context.Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .context.Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- /* Over zones, then nodes: (dict "context" $ "component" "gateway" "perRevision" true) */ -}}
{{- define "shop.spread" -}}
{{- if .context.Values.spread.enabled }}
topologySpreadConstraints:
  {{- $ := . }}
  {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: {{ $.context.Values.spread.whenUnsatisfiable }}
    nodeTaintsPolicy: Honor
    labelSelector:
      matchLabels:
        {{- include "shop.selectorLabels" $.context | nindent 8 }}
        app.kubernetes.io/component: {{ $.component }}
    {{- if $.perRevision }}
    matchLabelKeys: [pod-template-hash]
    {{- end }}
  {{- end }}
{{- end }}
{{- end -}}

{{- /* auto|on|off of what we bring ourselves when the API is missing, or only when it is there. */ -}}
{{- define "shop.ownPrometheus" -}}
{{- $there := .Capabilities.APIVersions.Has "monitoring.coreos.com/v1" -}}
{{- if or (eq .Values.prometheus.install "on") (and (eq .Values.prometheus.install "auto") (not $there)) -}}yes{{- end -}}
{{- end -}}

{{- define "shop.serviceMonitorWanted" -}}
{{- $there := .Capabilities.APIVersions.Has "monitoring.coreos.com/v1" -}}
{{- if and (eq .Values.serviceMonitor.install "on") (not $there) -}}
{{- fail "serviceMonitor.install is \"on\", but the cluster does not serve monitoring.coreos.com/v1: install its operator first, or set \"auto\"" -}}
{{- end -}}
{{- if and (ne .Values.serviceMonitor.install "off") $there -}}yes{{- end -}}
{{- end -}}

{{- /* (dict "context" $ "key" "patroni-password") */ -}}
{{- define "shop.fromSecret" -}}
valueFrom:
  secretKeyRef:
    name: {{ include "shop.secretName" .context | quote }}
    key: {{ .key }}
{{- end -}}

{{- /* minReplicas of an HPA: what is wanted, or Foresail's floor while that stands over the very same value. An upgrade
       would otherwise take the floor down, or stop at it. (dict "context" $ "name" … "wanted" 2) */ -}}
{{- define "shop.floorOr" -}}
{{- $there := lookup "autoscaling/v2" "HorizontalPodAutoscaler" .context.Release.Namespace .name | default dict -}}
{{- $mark := dig "metadata" "annotations" "foresail.dev/floor" "{}" $there | fromJson -}}
{{- $standing := and (hasKey $mark "original") (hasKey $mark "written") (eq (toString (int $mark.original)) (toString (int .wanted))) -}}
{{- if and $standing (eq (int $mark.written) (int (dig "spec" "minReplicas" 0 $there))) -}}
{{- int $mark.written -}}
{{- else -}}
{{- int .wanted -}}
{{- end -}}
{{- end -}}
