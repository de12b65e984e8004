import Foundation
import RetortAgents
import RetortCore

/// ToolBench's and StableToolBench's queries, `[{query_id, query, api_list}]`, as tasks with descriptions of their
/// APIs.
package struct ToolBenchQueries: Sendable {
    /// The tasks, in file order, each with its tools and the functions that they stand for.
    package private(set) var tasks: [AgentTask] = []
    /// What is known of each function, for a model that imitates it.
    package private(set) var documents: [VirtualAPIName: JSONValue] = [:]
    /// Records that are not queries, by number from 1.
    package private(set) var account = ImportAccount()

    /// - Throws: `JSONFileError` for a file that cannot be read at all.
    package init(_ file: URL, split: String = "test") throws {
        let group = file.deletingPathExtension().lastPathComponent
        for (index, record) in (try JSONFile.value(file).array ?? []).enumerated() {
            account.records += 1
            guard let query = record["query"]?.string, let apis = record["api_list"]?.array, !apis.isEmpty else {
                account.reject(index + 1, "the record has no query or no api_list")
                continue
            }
            var task = AgentTask(
                id: "\(group)-\(record["query_id"]?.text ?? String(index))", question: query, answers: [],
                family: .factual, split: split)
            var (tools, names) = ([ToolDocument](), [String: VirtualAPIReference]())
            for api in apis {
                guard let category = api["category_name"]?.string, let tool = api["tool_name"]?.string,
                    let name = api["api_name"]?.string
                else { continue }
                let document = Self.document(api, api: name, tool: tool)
                if names[document.name] == nil { tools.append(document) }
                names[document.name] = VirtualAPIReference(category: category, tool: tool, api: name)
                documents[VirtualAPIName(category: category, tool: tool, api: name)] = api
            }
            task.tools = tools
            task.virtualAPIs = names
            tasks.append(task)
            account.imported += 1
        }
    }

    private static func document(_ api: JSONValue, api name: String, tool: String) -> ToolDocument {
        let required = api["required_parameters"]?.array ?? []
        let all = required + (api["optional_parameters"]?.array ?? [])
        var (input, properties) = ([String: JSONValue](), [String: JSONValue]())
        for parameter in all {
            guard let key = parameter["name"]?.string else { continue }
            let type = Self.type(parameter["type"]?.string)
            let description = parameter["description"]?.string ?? ""
            input[key] = .string("\(type), \(description.suffix(256))")
            properties[key] = ["type": .string(type), "description": .string(description)]
        }
        let standard = ToolBenchName.standard(tool)
        let summary = api["api_description"]?.string ?? ""
        return ToolDocument(
            name: ToolBenchName.call(api: name, tool: tool),
            function: String(
                "This is the subfunction for tool \"\(standard)\". \(summary.isEmpty ? "" : "It does: \(summary)")"
                    .prefix(256)),
            input: .object(input),
            schema: [
                "type": "object", "properties": .object(properties),
                "required": .array(required.compactMap { $0["name"]?.string }.map { .string($0) }),
            ])
    }

    /// ToolBench's types are those of RapidAPI; types that JSON lacks become texts.
    private static func type(_ name: String?) -> String {
        switch name?.uppercased() {
        case "NUMBER": "number"
        case "BOOLEAN": "boolean"
        case "ARRAY": "array"
        case "OBJECT": "object"
        default: "string"
        }
    }
}
