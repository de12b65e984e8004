import RetortCore
import Tracing

/// OTLP's JSON (https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding): ids in hexadecimal digits, 64-bit numbers as texts.
enum OTLPDocument {
    /// The body of a request to `/v1/traces`.
    static func traces(_ spans: [FinishedSpan], resource: [String: String], version: String) -> JSONValue {
        document("resourceSpans", resource, "scopeSpans", version, ["spans": .array(spans.map(span))])
    }

    /// The body of a request to `/v1/metrics`.
    static func metrics(_ metrics: [JSONValue], resource: [String: String], version: String) -> JSONValue {
        document("resourceMetrics", resource, "scopeMetrics", version, ["metrics": .array(metrics)])
    }

    private static func document(
        _ outer: String, _ resource: [String: String], _ inner: String, _ version: String,
        _ content: [String: JSONValue]
    ) -> JSONValue {
        let scope: JSONValue = ["name": "retort", "version": .string(version)]
        let scoped = JSONValue.object(content.merging(["scope": scope]) { $1 })
        let texts = resource.sorted { $0.key < $1.key }
        return .object([
            outer: [.object(["resource": ["attributes": Self.texts(texts)], inner: [scoped]])]
        ])
    }

    /// Attributes that are texts.
    static func texts(_ pairs: [(key: String, value: String)]) -> JSONValue {
        .array(pairs.map { pair($0.key, ["stringValue": .string($0.value)]) })
    }

    private static func span(_ span: FinishedSpan) -> JSONValue {
        var members: [String: JSONValue] = [
            "traceId": .string(span.own.traceID), "spanId": .string(span.own.spanID), "name": .string(span.name),
            "kind": .integer(kind(span.kind)), "startTimeUnixNano": .string("\(span.start)"),
            "endTimeUnixNano": .string("\(span.end)"), "attributes": attributes(span.attributes),
        ]
        if let parent = span.parent { members["parentSpanId"] = .string(TraceContext.digits(parent)) }
        if !span.events.isEmpty {
            members["events"] = .array(
                span.events.map {
                    [
                        "name": .string($0.name), "timeUnixNano": .string("\($0.nanosecondsSinceEpoch)"),
                        "attributes": attributes($0.attributes),
                    ]
                })
        }
        let links = span.links.compactMap { link -> JSONValue? in
            guard let other = link.context.trace else { return nil }
            return [
                "traceId": .string(other.traceID), "spanId": .string(other.spanID),
                "attributes": attributes(link.attributes),
            ]
        }
        if !links.isEmpty { members["links"] = .array(links) }
        if let status = span.status {
            var told: [String: JSONValue] = ["code": status.code == .error ? 2 : 1]
            if let message = status.message { told["message"] = .string(message) }
            members["status"] = .object(told)
        }
        return .object(members)
    }

    private static func kind(_ kind: SpanKind) -> Int {
        switch kind {
        case .internal: 1
        case .server: 2
        case .client: 3
        case .producer: 4
        case .consumer: 5
        }
    }

    private static func attributes(_ attributes: SpanAttributes) -> JSONValue {
        var pairs: [(String, JSONValue)] = []
        attributes.forEach { pairs.append(($0, value($1))) }
        return .array(pairs.sorted { $0.0 < $1.0 }.map { pair($0.0, $0.1) })
    }

    private static func pair(_ key: String, _ value: JSONValue) -> JSONValue { ["key": .string(key), "value": value] }

    private static func value(_ attribute: SpanAttribute) -> JSONValue {
        func list(_ values: [JSONValue]) -> JSONValue { ["arrayValue": ["values": .array(values)]] }
        func integer(_ number: some BinaryInteger) -> JSONValue { ["intValue": .string("\(number)")] }
        func text(_ text: String) -> JSONValue { ["stringValue": .string(text)] }
        switch attribute {
        case .int32(let number): return integer(number)
        case .int64(let number): return integer(number)
        case .int32Array(let numbers): return list(numbers.map(integer))
        case .int64Array(let numbers): return list(numbers.map(integer))
        // JSON has no word for what is no number.
        case .double(let number): return number.isFinite ? ["doubleValue": .number(number)] : text("\(number)")
        case .doubleArray(let numbers):
            return list(numbers.map { $0.isFinite ? ["doubleValue": .number($0)] : text("\($0)") })
        case .bool(let flag): return ["boolValue": .bool(flag)]
        case .boolArray(let flags): return list(flags.map { ["boolValue": .bool($0)] })
        case .string(let words): return text(words)
        case .stringArray(let texts): return list(texts.map(text))
        case .stringConvertible(let other): return text("\(other)")
        case .stringConvertibleArray(let others): return list(others.map { text("\($0)") })
        default: return text("")
        }
    }
}
