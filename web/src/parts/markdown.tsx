/** Markdown as elements of the page: tokens are drawn one by one, so no text of anybody ever becomes HTML. */
import { Lexer, type Token, type Tokens } from 'marked';
import type { ComponentChildren } from 'preact';

const LONGEST = 100_000; // characters; what is longer is shown as it is

export function Markdown({ text }: { text: string }) {
  if (text.length > LONGEST) return <pre class="plain" dir="auto">{text}</pre>;
  return <div class="markdown" dir="auto">{blocks(new Lexer({ gfm: true }).lex(text))}</div>;
}

const SAFE = /^(https?:|mailto:)/i;

/** Links lead only where a browser asks a server; all others are shown as text. */
function Link({ href, children }: { href: string; children: ComponentChildren }) {
  if (!SAFE.test(href)) return <span title={href}>{children}</span>;
  return <a href={href} target="_blank" rel="noopener noreferrer nofollow">{children}</a>;
}

const blocks = (tokens: readonly Token[]): ComponentChildren => tokens.map((token) => block(token));

function block(token: Token): ComponentChildren {
  switch (token.type) {
    case 'space':
    case 'def':
      return null;
    case 'heading':
      return <p class="heading">{inlines(token.tokens)}</p>;
    case 'paragraph':
      return <p>{inlines(token.tokens)}</p>;
    case 'code':
      return <pre><code>{(token as Tokens.Code).text}</code></pre>;
    case 'blockquote':
      return <blockquote>{blocks(token.tokens ?? [])}</blockquote>;
    case 'hr':
      return <hr />;
    case 'list': {
      const { ordered, start, items } = token as Tokens.List;
      const inside = items.map((item) => <li>{item.task ? (item.checked ? '☑ ' : '☐ ') : ''}{blocks(item.tokens.filter(({ type }) => type !== 'checkbox'))}</li>);
      return ordered ? <ol start={Number(start) || 1}>{inside}</ol> : <ul>{inside}</ul>;
    }
    case 'table': {
      const { header, rows } = token as Tokens.Table;
      return (
        <div class="scroll" tabIndex={0}>
          <table>
            <thead><tr>{header.map((cell) => <th>{inlines(cell.tokens)}</th>)}</tr></thead>
            <tbody>{rows.map((row) => <tr>{row.map((cell) => <td>{inlines(cell.tokens)}</td>)}</tr>)}</tbody>
          </table>
        </div>
      );
    }
    case 'text':
      return 'tokens' in token && token.tokens ? inlines(token.tokens) : inline(token);
    case 'html':
      return <p>{token.raw}</p>;
    default:
      return inline(token);
  }
}

const inlines = (tokens: readonly Token[] = []): ComponentChildren => tokens.map((token) => inline(token));

function inline(token: Token): ComponentChildren {
  switch (token.type) {
    case 'strong':
      return <strong>{inlines(token.tokens)}</strong>;
    case 'em':
      return <em>{inlines(token.tokens)}</em>;
    case 'del':
      return <del>{inlines(token.tokens)}</del>;
    case 'codespan':
      return <code>{(token as Tokens.Codespan).text}</code>;
    case 'br':
      return <br />;
    case 'link':
      return <Link href={(token as Tokens.Link).href}>{inlines(token.tokens)}</Link>;
    case 'image': // of another host: its address and not the image
      return <Link href={(token as Tokens.Image).href}>🖼 {(token as Tokens.Image).text || (token as Tokens.Image).href}</Link>;
    case 'escape':
    case 'text':
      return 'tokens' in token && token.tokens ? inlines(token.tokens) : (token as Tokens.Text).text;
    default:
      return token.raw;
  }
}
