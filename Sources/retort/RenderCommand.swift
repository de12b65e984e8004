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

    @Argument(help: "A checkpoint's folder.") var folder: String
    @Option(help: "The file of chats.") var chats: String

    private struct Line: Encodable {
        var text: String?
        var ids: [Int32]?
        var error: String?
    }

    /// A chat of texts alone.
    private struct Chat: Decodable {
        struct Turn: Decodable {
            let role: Role
            let content: String
            let toolCalls: JSONValue?
            let name: JSONValue?
        }

        let messages: [Turn]
        let addGenerationPrompt: Bool?
        let tools: JSONValue?
        let enableThinking: JSONValue?
    }

    func run() throws {
        let folder = URL(fileURLWithPath: folder)
        let folders = try CheckpointFolders(folder)
        let tokenizer = try Tokenizer(folders.tokenizer)
        guard let template = try folders.writtenTemplate(for: tokenizer) else {
            throw CheckpointError.template(file: folder.path, "it holds no chat template")
        }
        let text = try String(contentsOf: URL(fileURLWithPath: chats), encoding: .utf8)
        for line in text.split(separator: "\n") {
            var result = Line()
            do {
                result.text = try template.text(json: Data(line.utf8))
                result.ids = tokens(of: Data(line.utf8), template, tokenizer)
            } catch {
                result.error = "\(error)"
            }
            print(String(decoding: try JSONCoding.encoder.encode(result), as: UTF8.self))
        }
    }

    private func tokens(of line: Data, _ template: JinjaTemplate, _ tokenizer: Tokenizer) -> [Int32]? {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        guard let chat = try? decoder.decode(Chat.self, from: line), chat.tools == nil, chat.enableThinking == nil,
            chat.messages.allSatisfy({ $0.toolCalls == nil && $0.name == nil })
        else { return nil }
        let messages = chat.messages.map { Message($0.role, $0.content) }
        return try? template.render(
            messages, then: chat.addGenerationPrompt == true ? .generation() : .nothing, with: tokenizer
        ).tokens
    }
}
