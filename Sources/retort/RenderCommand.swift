import ArgumentParser
import Foundation
import RetortCore
import RetortLLM

/// `retort render`
struct RenderCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "render", abstract: "Write chats as a checkpoint's own template does.",
        discussion: """
            Each line of the file is a JSON object with 'messages' and whatever else the template asks for (tools, \
            add_generation_prompt, …); each line printed is {"text": …, "ids": […]}, or {"error": …} when the template \
            refuses. The ids are left out for chats with more than texts, and for those that training would refuse.
            """)

    @Argument(help: "A checkpoint's folder or GGUF file.") var folder: String
    @Option(help: "The file of chats.") var chats: String

    private struct Line: Encodable {
        var text: String?
        var ids: [Int32]?
        var error: String?
    }

    /// A chat that consists of texts only.
    private struct Chat: Decodable {
        struct Turn: Decodable {
            let role: Role
            let content: String
            let tool_calls: JSONValue?
            let name: JSONValue?
        }

        let messages: [Turn]
        let add_generation_prompt: Bool?
        let tools: JSONValue?
        let enable_thinking: JSONValue?
    }

    func run() throws {
        let folder = URL(fileURLWithPath: folder)
        let folders = try CheckpointFolders(folder)
        let tokenizer = try folders.readTokenizer()
        guard let template = try folders.writtenTemplate(for: tokenizer) else {
            throw CheckpointError.template(file: folder.path, "it holds no chat template")
        }
        try JSONLinesFile(URL(fileURLWithPath: chats)).forEachLine { line, _, _ in
            guard line.contains(where: { !" \t\r".utf8.contains($0) }) else { return }
            var result = Line()
            do {
                if let fault = ExactJSON.encodingFault(line) { throw ValidationError(fault) }
                result.text = try template.text(json: line)
                result.ids = tokens(of: line, template, tokenizer)
            } catch {
                result.error = "\(error)"
            }
            print(String(decoding: try JSONCoding.encoder.encode(result), as: UTF8.self))
        }
    }

    private func tokens(of line: Data, _ template: JinjaTemplate, _ tokenizer: Tokenizer) -> [Int32]? {
        guard let chat = try? JSONCoding.decoder.decode(Chat.self, from: line), chat.tools == nil,
            chat.enable_thinking == nil, chat.messages.allSatisfy({ $0.tool_calls == nil && $0.name == nil })
        else { return nil }
        let messages = chat.messages.map { Message($0.role, $0.content) }
        return try? template.render(
            messages, then: chat.add_generation_prompt == true ? .generation() : .nothing, with: tokenizer
        ).tokens
    }
}
