{{- define "shop.loadPod" -}}
{{- $gateway := printf "%s-gateway" (include "shop.fullname" .) -}}
metadata:
  labels:
    {{- include "shop.labels" . | nindent 4 }}
    app.kubernetes.io/component: load
spec:
  {{- include "shop.podBasics" (dict "context" . "user" 10001) | nindent 2 }}
  restartPolicy: Never
  enableServiceLinks: false
  containers:
    - name: load
      image: {{ include "shop.image" (dict "context" . "image" "load") }}
      imagePullPolicy: {{ .Values.images.load.pullPolicy }}
      command: [foresail, load]
      args:
        - --url=http://{{ $gateway }}:{{ .Values.gatewayService.port }}
        - --allow-host={{ $gateway }}
        - --shape={{ .Values.load.shape }}
        - --rps={{ .Values.load.rps }}
        - --duration-s={{ .Values.load.durationSeconds }}
        - --mix={{ .Values.load.mix }}
        - --seed={{ .Values.load.seed }}
        - --out=/tmp/load
        - --json
        {{- if .Values.load.announced }}
        - --announced
        {{- end }}
        {{- if .Values.load.probe }}
        - --probe
        {{- end }}
      securityContext:
        {{- toYaml .Values.securityContext | nindent 8 }}
      resources:
        {{- toYaml .Values.load.resources | nindent 8 }}
      volumeMounts:
        - name: tmp
          mountPath: /tmp
  volumes:
    - name: tmp
      emptyDir:
        sizeLimit: 1Gi
{{- end -}}
