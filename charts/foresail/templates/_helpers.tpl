{{- define "foresail.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- /* 40 characters leave room for what is hung on, and for a CronJob's 11. */ -}}
{{- define "foresail.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains (include "foresail.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "foresail.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "foresail.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name (.Chart.Version | replace "+" "_") }}
{{ include "foresail.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "foresail.selectorLabels" -}}
app.kubernetes.io/name: {{ include "foresail.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "foresail.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "foresail.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- required "serviceAccount.name: name an existing account, or set serviceAccount.create" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "foresail.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ default $.Chart.AppVersion .tag }}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "foresail.watchNamespaces" -}}
{{- join "," (default (list .Release.Namespace) .Values.watchNamespaces | uniq) -}}
{{- end -}}

{{- define "foresail.scaleResources" -}}
{{- $named := list -}}
{{- range .Values.scaleResources -}}{{- $named = append $named (printf "%s/%s" .apiVersion .resource) -}}{{- end -}}
{{- join "," $named -}}
{{- end -}}

{{- define "foresail.leaseName" -}}foresail{{- end -}}

{{- /* Whether an optional resource is rendered: (dict "install" "auto|on|off" "api" "group/version" "key" "its key" "context" $) */ -}}
{{- define "foresail.wanted" -}}
{{- $there := .context.Capabilities.APIVersions.Has .api -}}
{{- if and (eq .install "on") (not $there) -}}
{{- fail (printf "%s.install is \"on\", but the cluster does not serve %s: install its operator first, or set \"auto\"" .key .api) -}}
{{- end -}}
{{- if and (ne .install "off") $there -}}yes{{- end -}}
{{- end -}}

{{- define "foresail.environment" -}}
- name: FORESAIL_NAMESPACE
  valueFrom:
    fieldRef:
      fieldPath: metadata.namespace
- name: FORESAIL_REPLICA
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
- name: FORESAIL_NODE
  valueFrom:
    fieldRef:
      fieldPath: spec.nodeName
{{- /* Empty where the cluster does not copy the node's zone to its pods (before 1.35): then the node is asked. */}}
- name: FORESAIL_ZONE
  valueFrom:
    fieldRef:
      fieldPath: metadata.labels['topology.kubernetes.io/zone']
- name: FORESAIL_WATCH_NAMESPACES
  value: {{ include "foresail.watchNamespaces" . | quote }}
- name: FORESAIL_PROMETHEUS_URL
  value: {{ .Values.prometheus.url | quote }}
- name: FORESAIL_PROMETHEUS_TIMEOUT_S
  value: {{ .Values.prometheus.timeoutSeconds | quote }}
- name: FORESAIL_PROMETHEUS_MATCHERS
  value: {{ .Values.prometheus.matchers | quote }}
{{- with .Values.prometheus.tokenSecret }}
{{- if .name }}
- name: FORESAIL_PROMETHEUS_TOKEN_FILE
  value: /etc/foresail/prometheus-token/{{ .key }}
{{- end }}
{{- end }}
{{- with .Values.prometheus.caSecret }}
{{- if .name }}
- name: FORESAIL_PROMETHEUS_CA_FILE
  value: /etc/foresail/prometheus-ca/{{ .key }}
{{- end }}
{{- end }}
- name: FORESAIL_LEASE_NAME
  value: {{ include "foresail.leaseName" . | quote }}
- name: FORESAIL_LEASE_DURATION_S
  value: {{ .Values.operator.lease.durationSeconds | quote }}
- name: FORESAIL_LEASE_RENEW_DEADLINE_S
  value: {{ .Values.operator.lease.renewDeadlineSeconds | quote }}
- name: FORESAIL_LEASE_RETRY_S
  value: {{ .Values.operator.lease.retrySeconds | quote }}
- name: FORESAIL_TICK_S
  value: {{ .Values.operator.tickSeconds | quote }}
- name: FORESAIL_FAST_TICK_S
  value: {{ .Values.operator.fastTickSeconds | quote }}
- name: FORESAIL_API_TIMEOUT_S
  value: {{ .Values.operator.apiTimeoutSeconds | quote }}
- name: FORESAIL_MODEL_THREADS
  value: {{ .Values.operator.modelThreads | quote }}
- name: FORESAIL_EXPORTED_WORKLOADS
  value: {{ .Values.operator.exportedWorkloads | quote }}
- name: FORESAIL_LOG_LEVEL
  value: {{ .Values.operator.logLevel | quote }}
- name: FORESAIL_ZONE_SHIFT
  value: {{ .Values.zoneShift.enabled | quote }}
- name: FORESAIL_WEIGHTS
  value: {{ .Values.gatewayApi.enabled | quote }}
- name: FORESAIL_SCALE_RESOURCES
  value: {{ include "foresail.scaleResources" . | quote }}
- name: FORESAIL_HTTP_PORT
  value: "8080"
{{- if .Values.models.existingClaim }}
- name: FORESAIL_MODELS_FOLDER
  value: /var/lib/foresail/models
{{- end }}
- name: FORESAIL_SECRETS_FOLDER
  value: /etc/foresail/secrets
{{- with .Values.operator.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "foresail.volumeMounts" -}}
- name: tmp
  mountPath: /tmp
{{- if .Values.prometheus.tokenSecret.name }}
- name: prometheus-token
  mountPath: /etc/foresail/prometheus-token
  readOnly: true
{{- end }}
{{- if .Values.prometheus.caSecret.name }}
- name: prometheus-ca
  mountPath: /etc/foresail/prometheus-ca
  readOnly: true
{{- end }}
{{- if .Values.models.existingClaim }}
- name: models
  mountPath: /var/lib/foresail/models
  readOnly: true
{{- end }}
{{- range .Values.credentials }}
- name: secrets-of-{{ .namespace | trunc 52 }}
  mountPath: /etc/foresail/secrets/{{ .namespace }}
  readOnly: true
{{- end }}
{{- end -}}

{{- define "foresail.volumes" -}}
- name: tmp
  emptyDir:
    sizeLimit: 64Mi
{{- range $name, $secret := dict "prometheus-token" .Values.prometheus.tokenSecret "prometheus-ca" .Values.prometheus.caSecret }}
{{- if $secret.name }}
- name: {{ $name }}
  secret:
    secretName: {{ $secret.name | quote }}
    defaultMode: 0440
    items:
      - key: {{ $secret.key }}
        path: {{ $secret.key }}
{{- end }}
{{- end }}
{{- if .Values.models.existingClaim }}
- name: models
  persistentVolumeClaim:
    claimName: {{ .Values.models.existingClaim | quote }}
    readOnly: true
{{- end }}
{{- range .Values.credentials }}
- name: secrets-of-{{ .namespace | trunc 52 }}
  secret:
    secretName: {{ .existingSecret | quote }}
    # Not there (yet): without tokens nobody is drained or dimmed, but all else works.
    optional: true
    defaultMode: 0440
{{- end }}
{{- end -}}

{{- /* What every pod of the chart has: identity, hardening, placement. */ -}}
{{- define "foresail.podBasics" -}}
serviceAccountName: {{ include "foresail.serviceAccountName" . }}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- toYaml .Values.podSecurityContext | nindent 2 }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- /* A Job's pod that runs one command: (dict "context" $ "component" "revert" "args" (list …)) */ -}}
{{- define "foresail.commandPod" -}}
metadata:
  labels:
    {{- include "foresail.labels" .context | nindent 4 }}
    app.kubernetes.io/component: {{ .component }}
spec:
  {{- include "foresail.podBasics" .context | nindent 2 }}
  restartPolicy: Never
  containers:
    - name: {{ .component }}
      image: {{ include "foresail.image" .context }}
      imagePullPolicy: {{ .context.Values.image.pullPolicy }}
      command: [foresail]
      args: {{ toJson .args }}
      env:
        {{- include "foresail.environment" .context | nindent 8 }}
      securityContext:
        {{- toYaml .context.Values.securityContext | nindent 8 }}
      resources:
        {{- toYaml .context.Values.jobResources | nindent 8 }}
      volumeMounts:
        {{- include "foresail.volumeMounts" .context | nindent 8 }}
  volumes:
    {{- include "foresail.volumes" .context | nindent 4 }}
{{- end -}}

{{- /* A list of words as CEL writes them. */ -}}
{{- define "foresail.celWords" -}}
{{- $quoted := list -}}
{{- range . -}}{{- $quoted = append $quoted (squote .) -}}{{- end -}}
{{- join ", " $quoted -}}
{{- end -}}

{{- /* CEL that holds when a field is as it was: there in both and equal, or in neither. */ -}}
{{- define "foresail.celSame" -}}
has(object.{{ . }}) == has(oldObject.{{ . }}) && (!has(object.{{ . }}) || object.{{ . }} == oldObject.{{ . }})
{{- end -}}
