import Foundation

/// Anything that encodes, as a `JSONValue` in which numbers keep their type.
///
/// Foundation offers no encoder into a tree; this one is complete, so that `ExactJSON` needs no detour by a text.
struct JSONValueEncoder {
    func encode(_ value: some Encodable) throws -> JSONValue {
        let node = Node()
        try node.take(value, at: [])
        return node.value
    }
}

/// A value under construction; shared between an encoder and its containers.
private final class Node {
    private enum Content {
        case empty
        case value(JSONValue)
        case elements([Node])
        case members([String: Node])
    }

    private var content = Content.empty

    var value: JSONValue {
        switch content {
        case .empty: [:]
        case .value(let value): value
        case .elements(let nodes): .array(nodes.map(\.value))
        case .members(let nodes): .object(nodes.mapValues(\.value))
        }
    }

    var count: Int { if case .elements(let nodes) = content { nodes.count } else { 0 } }

    func set(_ value: JSONValue) { content = .value(value) }

    func take<Value: Encodable>(_ value: Value, at path: [any CodingKey]) throws {
        if let json = value as? JSONValue { return set(json) }
        if let date = value as? Date { return set(.string(date.formatted(.iso8601))) }
        if let address = value as? URL { return set(.string(address.absoluteString)) }
        try value.encode(to: NodeEncoder(node: self, codingPath: path))
    }

    func becomeArray() { if case .elements = content {} else { content = .elements([]) } }
    func becomeObject() { if case .members = content {} else { content = .members([:]) } }

    func appended() -> Node {
        let node = Node()
        guard case .elements(var nodes) = content else { return node }
        // The list has one owner while it grows, or it would be copied each time.
        content = .empty
        nodes.append(node)
        content = .elements(nodes)
        return node
    }

    func member(_ name: String) -> Node {
        guard case .members(var nodes) = content else { return Node() }
        let node = nodes[name] ?? Node()
        content = .empty
        nodes[name] = node
        content = .members(nodes)
        return node
    }
}

private struct NodeEncoder: Encoder {
    let node: Node
    let codingPath: [any CodingKey]
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
        node.becomeObject()
        return KeyedEncodingContainer(MemberContainer(node: node, codingPath: codingPath))
    }

    func unkeyedContainer() -> any UnkeyedEncodingContainer {
        node.becomeArray()
        return ElementContainer(node: node, codingPath: codingPath)
    }

    func singleValueContainer() -> any SingleValueEncodingContainer {
        ValueContainer(node: node, codingPath: codingPath)
    }
}

private struct MemberContainer<Key: CodingKey>: KeyedEncodingContainerProtocol {
    let node: Node
    let codingPath: [any CodingKey]

    func encodeNil(forKey key: Key) { node.member(key.stringValue).set(.null) }
    func encode(_ value: Bool, forKey key: Key) { node.member(key.stringValue).set(.bool(value)) }
    func encode(_ value: String, forKey key: Key) { node.member(key.stringValue).set(.string(value)) }
    func encode(_ value: Double, forKey key: Key) { node.member(key.stringValue).set(.number(value)) }
    func encode(_ value: Float, forKey key: Key) { node.member(key.stringValue).set(.number(Double(value))) }
    func encode(_ value: Int, forKey key: Key) { node.member(key.stringValue).set(JSONValue(integer: value)) }
    func encode(_ value: Int8, forKey key: Key) { node.member(key.stringValue).set(JSONValue(integer: value)) }
    func encode(_ value: Int16, forKey key: Key) { node.member(key.stringValue).set(JSONValue(integer: value)) }
    func encode(_ value: Int32, forKey key: Key) { node.member(key.stringValue).set(JSONValue(integer: value)) }
    func encode(_ value: Int64, forKey key: Key) { node.member(key.stringValue).set(JSONValue(integer: value)) }
    func encode(_ value: UInt, forKey key: Key) { node.member(key.stringValue).set(JSONValue(integer: value)) }
    func encode(_ value: UInt8, forKey key: Key) { node.member(key.stringValue).set(JSONValue(integer: value)) }
    func encode(_ value: UInt16, forKey key: Key) { node.member(key.stringValue).set(JSONValue(integer: value)) }
    func encode(_ value: UInt32, forKey key: Key) { node.member(key.stringValue).set(JSONValue(integer: value)) }
    func encode(_ value: UInt64, forKey key: Key) { node.member(key.stringValue).set(JSONValue(integer: value)) }
    func encode<Value: Encodable>(_ value: Value, forKey key: Key) throws {
        try node.member(key.stringValue).take(value, at: codingPath + [key])
    }

    func nestedContainer<Nested: CodingKey>(
        keyedBy type: Nested.Type, forKey key: Key
    ) -> KeyedEncodingContainer<Nested> {
        NodeEncoder(node: node.member(key.stringValue), codingPath: codingPath + [key]).container(keyedBy: type)
    }

    func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer {
        NodeEncoder(node: node.member(key.stringValue), codingPath: codingPath + [key]).unkeyedContainer()
    }

    func superEncoder() -> any Encoder { NodeEncoder(node: node.member("super"), codingPath: codingPath) }
    func superEncoder(forKey key: Key) -> any Encoder {
        NodeEncoder(node: node.member(key.stringValue), codingPath: codingPath + [key])
    }
}

private struct ElementContainer: UnkeyedEncodingContainer {
    let node: Node
    let codingPath: [any CodingKey]
    var count: Int { node.count }

    func encodeNil() { node.appended().set(.null) }
    func encode(_ value: Bool) { node.appended().set(.bool(value)) }
    func encode(_ value: String) { node.appended().set(.string(value)) }
    func encode(_ value: Double) { node.appended().set(.number(value)) }
    func encode(_ value: Float) { node.appended().set(.number(Double(value))) }
    func encode(_ value: Int) { node.appended().set(JSONValue(integer: value)) }
    func encode(_ value: Int8) { node.appended().set(JSONValue(integer: value)) }
    func encode(_ value: Int16) { node.appended().set(JSONValue(integer: value)) }
    func encode(_ value: Int32) { node.appended().set(JSONValue(integer: value)) }
    func encode(_ value: Int64) { node.appended().set(JSONValue(integer: value)) }
    func encode(_ value: UInt) { node.appended().set(JSONValue(integer: value)) }
    func encode(_ value: UInt8) { node.appended().set(JSONValue(integer: value)) }
    func encode(_ value: UInt16) { node.appended().set(JSONValue(integer: value)) }
    func encode(_ value: UInt32) { node.appended().set(JSONValue(integer: value)) }
    func encode(_ value: UInt64) { node.appended().set(JSONValue(integer: value)) }
    func encode<Value: Encodable>(_ value: Value) throws { try node.appended().take(value, at: codingPath) }

    func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type) -> KeyedEncodingContainer<Nested> {
        NodeEncoder(node: node.appended(), codingPath: codingPath).container(keyedBy: type)
    }

    func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer {
        NodeEncoder(node: node.appended(), codingPath: codingPath).unkeyedContainer()
    }

    func superEncoder() -> any Encoder { NodeEncoder(node: node.appended(), codingPath: codingPath) }
}

private struct ValueContainer: SingleValueEncodingContainer {
    let node: Node
    let codingPath: [any CodingKey]

    func encodeNil() { node.set(.null) }
    func encode(_ value: Bool) { node.set(.bool(value)) }
    func encode(_ value: String) { node.set(.string(value)) }
    func encode(_ value: Double) { node.set(.number(value)) }
    func encode(_ value: Float) { node.set(.number(Double(value))) }
    func encode(_ value: Int) { node.set(JSONValue(integer: value)) }
    func encode(_ value: Int8) { node.set(JSONValue(integer: value)) }
    func encode(_ value: Int16) { node.set(JSONValue(integer: value)) }
    func encode(_ value: Int32) { node.set(JSONValue(integer: value)) }
    func encode(_ value: Int64) { node.set(JSONValue(integer: value)) }
    func encode(_ value: UInt) { node.set(JSONValue(integer: value)) }
    func encode(_ value: UInt8) { node.set(JSONValue(integer: value)) }
    func encode(_ value: UInt16) { node.set(JSONValue(integer: value)) }
    func encode(_ value: UInt32) { node.set(JSONValue(integer: value)) }
    func encode(_ value: UInt64) { node.set(JSONValue(integer: value)) }
    func encode<Value: Encodable>(_ value: Value) throws { try node.take(value, at: codingPath) }
}

extension JSONValue {
    /// An integer of any width; one beyond 64 bits in its own form.
    fileprivate init(integer: some BinaryInteger) {
        self = Int(exactly: integer).map { .integer($0) } ?? .object(["$int": .string(String(integer))])
    }
}
