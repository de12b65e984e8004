import Foundation
import RetortAgents
import RetortCore

/// ToolAlpaca's evaluation set (arXiv 2306.05301): APIs with their OpenAPI texts, instructions, and the calls that
/// solve them.
package struct ToolAlpacaFile: Sendable {
    /// One task for each instruction; the expected calls are in `metadata["golden"]` as `[{Action, Action_Input}]`.
    package private(set) var tasks: [AgentTask] = []
    /// What is known of each function, for a model that imitates it.
    package private(set) var documents: [VirtualAPIName: JSONValue] = [:]
    /// What happened to each API of the file.
    package private(set) var account = ImportAccount()

    private static let methods: Set = ["get", "post", "put", "patch", "delete"]

    /// - Throws: `JSONFileError` for a file that cannot be read at all.
    package init(_ file: URL, split: String = "test") throws {
        for (index, record) in (try JSONFile.value(file).array ?? []).enumerated() {
            account.records += 1
            guard let name = record["Name"]?.string, let text = record["Documentation"]?.string,
                let openAPI = try? ExactJSON.value(of: text), let paths = openAPI["paths"]?.object
            else {
                account.reject(index + 1, "the API has no OpenAPI text with paths")
                continue
            }
            let category = record["Category"]?.string ?? "Other"
            let (tools, names) = read(paths, openAPI, tool: name, category: category)
            guard let instructions = Self.list(record["Instructions"]) else {
                account.reject(index + 1, "the API's instructions cannot be read")
                continue
            }
            let golden = Self.list(record["Golden_Answers"]) ?? []
            for (number, instruction) in instructions.enumerated() {
                var task = AgentTask(
                    id: "toolalpaca-\(ToolBenchName.standard(name))-\(number)", question: instruction.text, answers: [],
                    family: .factual, split: split)
                task.tools = tools
                task.virtualAPIs = names
                if number < golden.count { task.metadata["golden"] = golden[number] }
                tasks.append(task)
            }
            account.imported += 1
        }
    }

    /// A list, as JSON or in Python's notation.
    private static func list(_ value: JSONValue?) -> [JSONValue]? {
        value?.array ?? value?.string.flatMap { PythonText.value(of: $0)?.array }
    }

    private mutating func read(
        _ paths: [String: JSONValue], _ openAPI: JSONValue, tool: String, category: String
    ) -> (tools: [ToolDocument], names: [String: VirtualAPIReference]) {
        var tools: [ToolDocument] = []
        var names: [String: VirtualAPIReference] = [:]
        for (path, item) in paths.sorted(by: { $0.key < $1.key }) {
            for (method, operation) in (item.object ?? [:]).sorted(by: { $0.key < $1.key })
            where Self.methods.contains(method) {
                let name = operation["operationId"]?.string ?? ToolBenchName.standard("\(method)_\(path)")
                let reader = OpenAPIOperation(operation, in: openAPI)
                tools.append(
                    ToolDocument(
                        name: name, function: operation["description"]?.string ?? operation["summary"]?.string ?? "",
                        input: reader.input, schema: reader.schema))
                names[name] = VirtualAPIReference(category: category, tool: tool, api: name)
                documents[VirtualAPIName(category: category, tool: tool, api: name)] = [
                    "description": openAPI["info"]?["description"] ?? "", "path": .string(path),
                    "method": .string(method), "operation": reader.resolved,
                ]
            }
        }
        return (tools, names)
    }
}

/// An operation of an OpenAPI 3 document: its parameters and its body's fields as one schema.
struct OpenAPIOperation {
    /// The operation with its references resolved.
    let resolved: JSONValue
    /// The arguments' JSON schema.
    let schema: JSONValue
    /// The type and a description by parameter.
    let input: JSONValue

    init(_ operation: JSONValue, in document: JSONValue) {
        resolved = Self.resolve(operation, document, depth: 0)
        var (properties, required) = ([String: JSONValue](), [JSONValue]())
        for parameter in resolved["parameters"]?.array ?? [] {
            guard let name = parameter["name"]?.string else { continue }
            var schema = parameter["schema"]?.object ?? ["type": "string"]
            schema["description"] = parameter["description"] ?? schema["description"]
            properties[name] = .object(schema)
            if parameter["required"] == true { required.append(.string(name)) }
        }
        let body = resolved["requestBody"]?["content"]?["application/json"]?["schema"]
        for (name, schema) in body?["properties"]?.object ?? [:] { properties[name] = schema }
        required += body?["required"]?.array ?? []
        schema = ["type": "object", "properties": .object(properties), "required": .array(required)]
        input = .object(
            properties.mapValues { property in
                let choices =
                    property["enum"]?.array.map { " One of: \($0.map(\.text).joined(separator: ", "))." } ?? ""
                return .string(
                    "\(property["type"]?.string ?? "string"), \(property["description"]?.string ?? "")\(choices)")
            })
    }

    /// Resolves references within the document; below a nesting of 8 they stay, because a schema may contain itself.
    private static func resolve(_ value: JSONValue, _ document: JSONValue, depth: Int) -> JSONValue {
        guard depth < 8 else { return value }
        switch value {
        case .object(let members):
            if let path = members["$ref"]?.string, path.hasPrefix("#/") {
                let target = path.dropFirst(2).split(separator: "/").reduce(document) { $0[String($1)] ?? .null }
                return resolve(target, document, depth: depth + 1)
            }
            return .object(members.mapValues { resolve($0, document, depth: depth) })
        case .array(let elements): return .array(elements.map { resolve($0, document, depth: depth) })
        default: return value
        }
    }
}
